/** The way to what is worked out: a worker, or this page where none may be started. */

import type { Commands, Shown } from "./settings.ts";

export interface Channel {
  commands: Commands;
  /** Whether the page is busy while it computes. */
  inPage: boolean;
}

interface Told {
  ready?: true;
  shown?: Shown;
  id?: number;
  value?: unknown;
  error?: { name: string; message: string };
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export async function openChannel(show: (shown: Shown) => void): Promise<Channel> {
  const worker = await startWorker();
  if (!worker) {
    const { createWork } = await import("./work.ts");
    return { commands: createWork(show), inPage: true };
  }
  const waiting = new Map<number, Waiting>();
  worker.onmessage = ({ data: { shown, id, value, error } }: MessageEvent<Told>) => {
    if (shown) return show(shown);
    const asked = waiting.get(id!);
    waiting.delete(id!);
    if (error) asked?.reject(Object.assign(new Error(error.message), { name: error.name }));
    else asked?.resolve(value);
  };
  worker.onerror = ({ message }) => {
    for (const asked of waiting.values()) asked.reject(new Error(`The worker stopped: ${message}`));
    waiting.clear();
  };
  let last = 0;
  const ask = (command: string) => (...args: unknown[]) =>
    new Promise((resolve, reject) => {
      waiting.set(++last, { resolve, reject });
      worker.postMessage({ id: last, command, args });
    });
  const commands = new Proxy({} as Commands, { get: (_, command) => ask(String(command)) });
  return { commands, inPage: false };
}

/** None in a sandboxed frame, which is of no origin that a worker could be of. */
async function startWorker(): Promise<Worker | undefined> {
  try {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    return await new Promise((resolve) => {
      worker.onmessage = () => resolve(worker);
      worker.onerror = (event) => {
        event.preventDefault();
        resolve(undefined);
      };
    });
  } catch {
    return undefined;
  }
}
