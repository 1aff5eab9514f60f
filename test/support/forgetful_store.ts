/**
 * A store in memory that a power cut leaves with what was made safe, as `src/store/store.ts` promises
 * it: values that were set, appended bytes that were synced, appenders that were finished. Of all else a
 * cut leaves nothing, everything, a part, or a part with garbage behind it; a seed says which.
 *
 * Every call takes a while, so that one nobody waited for has not happened yet when the next begins.
 * Removals are kept in the order in which they were made, as file systems with a journal do.
 *
 * @module
 */

import type { ByteRange } from "../../src/store/byte_range.ts";
import { rangeBounds } from "../../src/store/byte_range.ts";
import {
  finishedKey,
  keyParts,
  PARTIAL_SUFFIX,
  partialKey,
  tooShort,
} from "../../src/store/place.ts";
import type { Appender, Store } from "../../src/store/store.ts";
import { Random } from "../../src/math/random.ts";

/** What every call ends with once the power is gone. */
export class PowerCutError extends Error {
  constructor() {
    super("the power is gone");
  }
}

/** Longer than the way from a call that is not waited for to the next one. */
const TURNS = 12;

/** What a cut leaves for sure: values, and of unfinished ones how many leading bytes. */
interface Safe {
  files: Map<string, Uint8Array>;
  synced: Map<string, number>;
}

export class ForgetfulStore implements Store {
  readonly place = "memory:forgetful";
  /** Calls that write or sync, in their order: `append /log`. */
  readonly history: string[] = [];
  /** What is read. */
  readonly #seen: Map<string, Uint8Array>;
  readonly #safe: Safe;
  /** What calls under way would make safe. */
  readonly #underWay = new Set<(safe: Safe) => void>();
  readonly #cutAt: number;
  #cut = false;

  /**
   * @param files What is there at the beginning, safe.
   * @param cutAt The call that writes or syncs, counted from 1, at which the power goes.
   */
  constructor(files: ReadonlyMap<string, Uint8Array> = new Map(), cutAt = Infinity) {
    this.#seen = new Map(files);
    const unfinished = [...files].filter(([key]) => key.endsWith(PARTIAL_SUFFIX));
    this.#safe = {
      files: new Map(files),
      synced: new Map(unfinished.map(([key, bytes]) => [key, bytes.byteLength])),
    };
    this.#cutAt = cutAt;
  }

  /** The store as the power comes back; cuts it now, unless that has happened. */
  cutPower(seed: number, cutAt = Infinity): ForgetfulStore {
    this.#cut = true;
    const random = new Random(seed);
    const safe = { files: new Map(this.#safe.files), synced: new Map(this.#safe.synced) };
    for (const makeSafe of this.#underWay) if (random.integer(2) === 0) makeSafe(safe);
    const left = safe.files;
    for (const [key, bytes] of this.#seen) {
      const synced = safe.synced.get(key);
      // a finished value, or one that was just being finished
      if (synced === undefined) continue;
      const way = random.integer(4);
      // as it was when it was synced last, under the name it had
      if (way === 0) continue;
      const length = way === 1
        ? bytes.byteLength
        : synced + random.integer(bytes.byteLength + 1 - synced);
      const part = bytes.slice(0, length);
      if (way === 3) { for (let i = synced; i < length; i++) part[i] = random.integer(256); }
      const finished = key.slice(0, -PARTIAL_SUFFIX.length);
      if (!this.#seen.has(finished)) left.delete(finished);
      left.set(key, part);
    }
    return new ForgetfulStore(left, cutAt);
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#read(() => this.#seen.get(key)?.slice());
  }

  getRange(key: string, range: ByteRange): Promise<Uint8Array | undefined> {
    return this.#read(() => {
      const bytes = this.#seen.get(key);
      return bytes && bytes.slice(...rangeBounds(range, bytes.byteLength));
    });
  }

  size(key: string): Promise<number | undefined> {
    return this.#read(() => this.#seen.get(key)?.byteLength);
  }

  set(key: string, bytes: Uint8Array): Promise<void> {
    keyParts(key, "write");
    const value = bytes.slice();
    return this.#replace(`set ${key}`, key, value);
  }

  async append(key: string, { keep = 0 } = {}): Promise<Appender> {
    keyParts(key, "write");
    const partial = partialKey(key);
    const found = this.#seen.get(partial) ?? this.#seen.get(key) ?? new Uint8Array(0);
    if (found.byteLength < keep) throw tooShort(this.place + key, found.byteLength, keep);
    await this.#write(`open ${key}`, undefined, () => {
      // of a finished value everything is synced, whichever of its two names it has
      const renamed = keep > 0 && !this.#seen.has(partial);
      if (renamed) this.#seen.delete(key);
      const { synced } = this.#safe;
      synced.set(partial, renamed ? keep : Math.min(keep, synced.get(partial) ?? 0));
      this.#seen.set(partial, found.slice(0, keep));
    });
    return this.#appender(key);
  }

  lock(): Promise<() => Promise<void>> {
    return Promise.resolve(() => Promise.resolve());
  }

  availableBytes(): Promise<number> {
    return Promise.resolve(Infinity);
  }

  delete(key: string): Promise<void> {
    return this.#write(`delete ${key}`, undefined, () => this.#forget((other) => other === key));
  }

  deleteAll(prefix = "/", isOwn: (key: string) => boolean = () => true): Promise<void> {
    const folder = prefix.replace(/\/*$/, "/");
    return this.#write(
      `delete ${folder}`,
      undefined,
      () => this.#forget((other) => other.startsWith(folder) && isOwn(finishedKey(other))),
    );
  }

  list(prefix: string): Promise<string[]> {
    const folder = prefix.replace(/\/*$/, "/");
    return this.#read(() =>
      [...this.#seen.keys()]
        .filter((key) => key.startsWith(folder) && !key.endsWith(PARTIAL_SUFFIX)).sort()
    );
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #appender(key: string): Appender {
    const partial = partialKey(key);
    let size = this.#seen.get(partial)!.byteLength;
    let last: Promise<unknown> = Promise.resolve();
    const after = (call: () => Promise<void>): Promise<void> => {
      const next = last.then(call);
      last = next.catch(() => {});
      return next;
    };
    return {
      get size() {
        return size;
      },
      append: (bytes) => {
        size += bytes.byteLength;
        const own = bytes.slice();
        return after(() =>
          this.#write(`append ${key}`, undefined, () => {
            const before = this.#seen.get(partial)!;
            const grown = new Uint8Array(before.byteLength + own.byteLength);
            grown.set(before);
            grown.set(own, before.byteLength);
            this.#seen.set(partial, grown);
          })
        );
      },
      sync: () =>
        after(() => {
          const bytes = this.#seen.get(partial)!;
          const isRenamed = !this.#seen.has(key);
          return this.#write(`sync ${key}`, ({ files, synced }) => {
            if (isRenamed) files.delete(key);
            files.set(partial, bytes);
            synced.set(partial, bytes.byteLength);
          });
        }),
      finish: () => after(() => this.#replace(`finish ${key}`, key, this.#seen.get(partial)!)),
      close: () => after(() => Promise.resolve()),
    };
  }

  /** Puts a value in its place, for good. */
  #replace(call: string, key: string, bytes: Uint8Array): Promise<void> {
    const put = (files: Map<string, Uint8Array>) => {
      files.set(key, bytes);
      files.delete(partialKey(key));
    };
    return this.#write(call, ({ files, synced }) => {
      put(files);
      synced.delete(partialKey(key));
    }, () => put(this.#seen));
  }

  #forget(isGone: (key: string) => boolean): void {
    for (const files of [this.#seen, this.#safe.files, this.#safe.synced]) {
      for (const key of [...files.keys()].filter(isGone)) files.delete(key);
    }
  }

  async #read<Value>(find: () => Value): Promise<Value> {
    if (this.#cut) throw new PowerCutError();
    await turns();
    return find();
  }

  /**
   * @param call What it is called in the history.
   * @param makeSafe What is safe once the call resolves, and may be before.
   * @param show What is seen of it before that.
   */
  async #write(call: string, makeSafe?: (safe: Safe) => void, show?: () => void): Promise<void> {
    if (this.#cut) throw new PowerCutError();
    if (makeSafe) this.#underWay.add(makeSafe);
    if (this.history.push(call) >= this.#cutAt) {
      this.#cut = true;
      // appended bytes may be on their way to the disk
      if (!makeSafe) show?.();
      throw new PowerCutError();
    }
    await turns();
    if (this.#cut) throw new PowerCutError();
    if (makeSafe) this.#underWay.delete(makeSafe);
    show?.();
    makeSafe?.(this.#safe);
  }
}

async function turns(): Promise<void> {
  for (let i = 0; i < TURNS; i++) await null;
}
