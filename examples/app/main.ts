/** The page: asks its worker, and shows what it says. */

import { openChannel } from "./channel.ts";
import type { Dropped } from "./dropped.ts";
import { filesOf, pickedFiles } from "./dropped.ts";
import { DEFAULTS, fillOptions, fillRoles, guessAnalysis, guessRoles, readForm } from "./form.ts";
import { keep, kept } from "./kept.ts";
import type { AnalysisName, Finished, Planned, Settings, Source } from "./settings.ts";

const at = <Kind extends HTMLElement = HTMLElement>(id: string) =>
  document.getElementById(id) as Kind;
const [roles, options] = [at<HTMLFormElement>("roles"), at<HTMLFormElement>("options")];
const [start, pause, cancel] = ["start", "pause", "cancel"].map((id) => at<HTMLButtonElement>(id));
const bar = at<HTMLProgressElement>("bar");

let settings: Settings | undefined;
/** Whether a run of these settings was interrupted. */
let interrupted = false;
let page = "";

const say = (id: string, text: string) => {
  at(id).textContent = text;
  at(id).hidden = text === "";
};

/** Does something, and shows what goes wrong as the library says it. */
async function attempt(task: () => Promise<void>): Promise<boolean> {
  say("failure", "");
  try {
    await task();
    return true;
  } catch (error) {
    say("failure", wordsFor(error as Error));
    at("failure").scrollIntoView({ block: "nearest" });
    return false;
  }
}

function wordsFor({ name, message }: Error): string {
  if (name === "OutputConflictError" && /another tab/.test(message)) {
    return `${message}.\nThis page is at work in another tab: wait for it, or pause it there and go on here.`;
  }
  if (name === "QuotaError") {
    return `${message}.\nA private window may keep little: use a window of the usual kind, or remove files of this page below.`;
  }
  return `${message}.`;
}

const { commands: work, inPage } = await openChannel(({ fraction, words }) => {
  bar.value = fraction;
  at("status").textContent = words;
  // from its first step on a run can be gone on with
  if (!pause!.hidden && settings) keep({ settings, state: "running" });
});

await attempt(async () => {
  const { adapter, storage } = await work.open();
  say("starting", "");
  at("adapter").textContent = `Computes on ${adapter}${
    inPage ? ", in the page itself" : ", in a worker"
  }.`;
  const isKept = storage.kind === "opfs";
  await sayStorage();
  at("clear").hidden = !isKept;
  if (!isKept) {
    say(
      "limits",
      "This page may keep no files here, as in the sandbox of a frame or in some private windows: .npy files " +
        "alone can be read, results stay in memory, up to 512 MiB, and are gone when the page is. " +
        (inPage ? "It has no worker either, so it may be slow to answer while it computes. " : "") +
        "Opened in a tab of its own it does all of it.",
    );
  }
  document.querySelector("main")!.hidden = false;
  const before = kept();
  if (before && isKept) await takeUp(before.settings, before.state === "done");
});
say("starting", "");

/** How much room there is, and who may take it away. */
async function sayStorage(): Promise<void> {
  const estimate = await navigator.storage?.estimate?.().catch(() => undefined);
  const { quota = 0, usage = 0 } = estimate ?? {};
  if (quota === 0) return;
  const persisted = await navigator.storage.persisted?.();
  const size = (bytes: number) =>
    bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(0)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  at("storage").textContent = `Files of this site take ${size(usage)} of ${
    size(quota)
  } that the browser allows; ${
    persisted ? "they stay until you remove them" : "it may remove them when disk runs short"
  }, and a private window forgets them when it is closed.`;
}

/** A run of an earlier visit. */
async function takeUp(own: Settings, isDone: boolean): Promise<void> {
  settings = own;
  interrupted = !isDone;
  showSettings();
  if (interrupted) {
    at("status").textContent =
      "A run of these settings was interrupted, or is at work in another tab. What it stored is kept.";
  }
  await replan();
  if (!isDone) return;
  await drawing(() => work.look(own));
  showButtons(false);
}

function showSettings(): void {
  const { source, analysis } = settings!;
  fillRoles(roles, settings!);
  fillOptions(options, settings!);
  at("source").textContent = source.kind === "simulation"
    ? `A simulated session of ${source.seconds! / 60} minutes: position at 60 Hz, 60 units.`
    : `${
      source.arrays!.length
    } arrays to choose from. They are copied into this site's private files, and stay on this machine.`;
  at("plan").hidden = false;
  document.body.dataset.analysis = analysis;
}

async function choose(source: Source): Promise<void> {
  const analysis = guessAnalysis(source);
  settings = {
    ...{ source, analysis, roles: guessRoles(source, analysis) },
    options: DEFAULTS[analysis],
  };
  await suggested();
  showSettings();
  await renew();
}

/** Sizes that suit what was recorded, where they can be told. */
async function suggested(): Promise<void> {
  const own = settings!;
  if (own.analysis !== "decode" || own.source.kind === "simulation") return;
  // what is missing is said by the plan
  const sizes = await work.suggest(own).catch(() => ({}));
  own.options = { ...own.options, ...sizes };
}

/** Other settings: what was run before is no more of these. */
async function renew(): Promise<void> {
  interrupted = false;
  at("result").hidden = true;
  at("status").textContent = "";
  bar.hidden = true;
  bar.value = 0;
  await replan();
}

/** The newest plan; a run waits for it, since whoever edits a number may click "Run" next. */
let planning: Promise<Planned> | undefined;
async function replan(): Promise<void> {
  const own = planning = work.plan(settings!);
  try {
    const planned = await own;
    // a newer one is on its way
    if (own !== planning) return;
    showPlan(planned);
    at("run").hidden = false;
    showButtons(false);
  } catch (error) {
    if (own !== planning) return;
    at("run").hidden = true;
    // numbers of another plan would be taken for those of this one
    for (const id of ["memory", "table"]) at(id).replaceChildren();
    throw error;
  }
}

function showPlan({ table: { columns, rows, notes }, memory }: Planned): void {
  at("memory").replaceChildren(...memory.map(({ name, bytes, allowed, words }) => {
    const meter = document.createElement("div");
    meter.className = bytes > allowed ? "meter over" : "meter";
    const share = Math.min(1, bytes / allowed);
    const [label, track, fill, small] = ["b", "div", "div", "small"]
      .map((tag) => document.createElement(tag));
    label!.textContent = name;
    track!.className = "track";
    fill!.className = "fill";
    fill!.style.width = `${100 * share}%`;
    track!.append(fill!);
    small!.textContent = bytes > allowed ? `${words}: too little, and it will be refused` : words;
    meter.append(label!, track!, small!);
    return meter;
  }));
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const column of columns) {
    head.append(Object.assign(document.createElement("th"), { textContent: column }));
  }
  const body = table.createTBody();
  for (const row of rows) {
    for (const cells = body.insertRow(); cells.cells.length < row.length;) {
      cells.insertCell().textContent = row[cells.cells.length - 1]!;
    }
  }
  at("table").replaceChildren(
    table,
    ...notes.map((note) => Object.assign(document.createElement("p"), { textContent: note })),
  );
}

function showButtons(runs: boolean): void {
  start!.hidden = runs;
  start!.textContent = interrupted ? "Go on" : at("result").hidden ? "Run" : "Run again";
  pause!.hidden = !runs;
  cancel!.hidden = !runs && !interrupted;
  cancel!.textContent = runs ? "Cancel" : "Discard it";
  for (
    const field of document.querySelectorAll<HTMLInputElement>(
      "main > section:first-child :is(button, select, input), #options :is(select, input)",
    )
  ) {
    field.disabled = runs;
  }
}

async function run(): Promise<void> {
  await planning;
  const own = settings!;
  const goOn = interrupted;
  showButtons(true);
  at("result").hidden = true;
  // browsers may ask; what is not granted is said below
  await navigator.storage?.persist?.().catch(() => false);
  try {
    await drawing(() => work.run(own, goOn));
    interrupted = false;
    keep({ settings: own, state: "done" });
    at("status").textContent = "Done.";
  } catch (error) {
    if ((error as Error).name !== "AbortError") throw error;
  } finally {
    showButtons(false);
    await sayStorage();
  }
}

/** Shows what comes of it, once it does. */
async function drawing(make: () => Promise<Finished>): Promise<void> {
  bar.hidden = false;
  bar.value = 0;
  const { facts, html } = await make();
  bar.hidden = true;
  page = html;
  say("facts", facts);
  at("result").hidden = false;
  // the picture is a page of its own, with its styles
  const drawn = new DOMParser().parseFromString(html, "text/html");
  const style = drawn.querySelector("style")!.textContent +
    "main{padding:0!important}.view h1{display:none}tbody th{white-space:normal}";
  const picture = at("picture");
  const shadow = picture.shadowRoot ?? picture.attachShadow({ mode: "open" });
  shadow.replaceChildren(
    Object.assign(document.createElement("style"), { textContent: style }),
    Object.assign(document.createElement("div"), { className: "view" }),
  );
  shadow.lastElementChild!.append(drawn.querySelector("main")!);
}

async function stop(discard: boolean): Promise<void> {
  const own = settings!;
  await work.stop(own, discard);
  interrupted = !discard;
  if (discard) keep(undefined);
  at("status").textContent = discard
    ? "Cancelled: nothing of it is kept."
    : "Paused: what is stored is kept, and it goes on from there, also after the page was closed.";
  bar.hidden = discard;
  showButtons(false);
}

async function take(files: Dropped[]): Promise<void> {
  if (files.length === 0) return;
  at("source").textContent = "Copying files in.";
  const taken = await attempt(async () => await choose(await work.take(files)));
  await sayStorage();
  if (!taken && at("source").textContent === "Copying files in.") at("source").textContent = "";
}

async function download(kind: string): Promise<void> {
  const { analysis } = settings!;
  const [name, blob] = kind === "page"
    ? [`${analysis}.html`, new Blob([page], { type: "text/html" })]
    : [
      kind === "zip" ? `${analysis}.zarr.zip` : `${analysis}.nc`,
      await work.download(settings!, kind as "zip" | "netcdf"),
    ];
  const link = Object.assign(document.createElement("a"), {
    href: URL.createObjectURL(blob),
    download: name,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

at("simulate").addEventListener(
  "click",
  () =>
    attempt(() =>
      choose({ kind: "simulation", seconds: Number(at<HTMLSelectElement>("seconds").value) })
    ),
);
for (const id of ["files", "folder"]) {
  at<HTMLInputElement>(id).addEventListener("change", ({ target }) => {
    const input = target as HTMLInputElement;
    take(pickedFiles(input.files!));
    input.value = "";
  });
}
const drop = at("drop");
for (const event of ["dragover", "dragleave", "drop"] as const) {
  // anywhere on the page, or a browser would show the file instead
  addEventListener(event, async (own) => {
    own.preventDefault();
    drop.classList.toggle("over", event === "dragover");
    if (event === "drop" && own.dataTransfer) await take(await filesOf(own.dataTransfer));
  });
}
roles.addEventListener("change", ({ target }) =>
  attempt(async () => {
    const { analysis, ...own } = readForm(roles) as { analysis: AnalysisName } & Settings["roles"];
    const isOther = (target as HTMLSelectElement).name === "analysis";
    settings = {
      ...{ source: settings!.source, analysis },
      roles: isOther
        ? guessRoles(settings!.source, analysis)
        : Object.fromEntries(Object.entries(own).filter(([, place]) => place !== "")),
      options: isOther ? DEFAULTS[analysis] : settings!.options,
    };
    await suggested();
    // fields of options that are of no other analysis stay, and with them the one that has the focus
    if (isOther) fillRoles(roles, settings);
    fillOptions(options, settings);
    await renew();
  }));
options.addEventListener("change", () =>
  attempt(async () => {
    if (!options.reportValidity()) return;
    settings = { ...settings!, options: readForm(options) };
    await renew();
  }));
start!.addEventListener("click", () => attempt(run));
pause!.addEventListener("click", () => attempt(() => stop(false)));
cancel!.addEventListener("click", () => attempt(() => stop(true)));
at("downloads").addEventListener("click", ({ target }) => {
  const { kind } = (target as HTMLElement).dataset;
  if (kind) attempt(() => download(kind));
});
at("clear").addEventListener("click", () =>
  attempt(async () => {
    await work.clear();
    keep(undefined);
    location.reload();
  }));
