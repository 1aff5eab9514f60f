/**
 * The folder of a series: whose it is, and who is at work there.
 *
 * @module
 */

import { OutputConflictError } from "../errors.ts";
import { digestOf } from "../math/digest.ts";
import { openStore } from "../store/open_store.ts";
import type { Store } from "../store/store.ts";
import { VERSION } from "../version.ts";

/** What a series says of its folder. */
export interface SeriesPlaceSpec {
  place: string;
  /** The file that says whose results there are, such as `/condition.json`, and the format it names. */
  manifest: string;
  format: string;
  adapter: string;
  /** All that changes results but for the input: anything JSON can hold. */
  settings: unknown;
  /** Folders with files that are its own, and files beside them: what overwriting removes. All else stays. */
  folders: readonly string[];
  isOwn(key: string): boolean;
  files: readonly string[];
  /** Folders that may be there before the manifest is. */
  firstFolders?: readonly string[];
}

/** What the manifest says of the results there are. */
interface Manifest {
  settings_hash: string;
  input_digest: string;
}

const LOCK = "/lock";

const RESULT_FILE =
  /\/(zarr\.json|checksums\.txt|c(\/\d+)+|plan\.json|lock|log\/steps|state\/.+\/\d{12})$/;

/** Whether a key may be a file of a plan's result or of its journal. */
export function isResultFile(key: string): boolean {
  return RESULT_FILE.test(key);
}

/** A folder that this run alone works in, until it is released. */
export class SeriesPlace {
  readonly #spec: SeriesPlaceSpec;
  readonly #store: Store;
  readonly #unlock: () => Promise<void>;
  #settingsHash = "";
  /** Digest of the input that results are there of. */
  inputDigest: string | undefined;

  private constructor(spec: SeriesPlaceSpec, store: Store, unlock: () => Promise<void>) {
    this.#spec = spec;
    this.#store = store;
    this.#unlock = unlock;
  }

  /**
   * @throws {OutputConflictError} If another run is at work there, it holds files and none of this kind of
   * series, or results of other settings that are not to be overwritten.
   */
  static async take(spec: SeriesPlaceSpec, overwrite: boolean): Promise<SeriesPlace> {
    const store = await openStore(spec.place, { mode: "write" });
    try {
      const place = new SeriesPlace(spec, store, await store.lock(LOCK));
      try {
        await place.#look(overwrite);
        return place;
      } catch (error) {
        await place.#unlock();
        throw error;
      }
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** @returns Hash of settings and input, which is that of the results. */
  async claim(inputDigest: string, overwrite: boolean): Promise<string> {
    const { manifest, format, adapter, settings, folders, isOwn, files } = this.#spec;
    if (overwrite) {
      // what says that something is done goes first, and what says whose it is stays to the end
      for (const folder of folders) await this.#store.deleteAll(folder, isOwn);
      for (const file of files) await this.#store.delete(file);
    }
    const own: Manifest = { settings_hash: this.#settingsHash, input_digest: inputDigest };
    const hash = await digestOf([own.settings_hash, own.input_digest]);
    const told = { format, sluice_version: VERSION, ...own, plan_hash: hash, adapter, settings };
    await this.write(manifest, JSON.stringify(told, undefined, 2));
    return hash;
  }

  async read(key: string): Promise<string | undefined> {
    const bytes = await this.#store.get(key);
    return bytes && new TextDecoder().decode(bytes);
  }

  async write(key: string, text: string): Promise<void> {
    await this.#store.set(key, new TextEncoder().encode(text));
  }

  async release(): Promise<void> {
    try {
      await this.#unlock();
    } finally {
      await this.#store.close();
    }
  }

  async #look(overwrite: boolean): Promise<void> {
    const { settings, adapter } = this.#spec;
    this.#settingsHash = await digestOf([JSON.stringify([VERSION, settings, adapter])]);
    const found = await this.#manifest();
    if (!found || overwrite) return;
    if (found.settings_hash !== this.#settingsHash) {
      throw this.#conflict(
        `Cannot write to ${this.#store.place}: it holds the results of another analysis, allow ` +
          "overwriting or name another place",
      );
    }
    this.inputDigest = found.input_digest;
  }

  /** Whose results are there, if any. */
  async #manifest(): Promise<Manifest | undefined> {
    const { manifest, format, firstFolders = [] } = this.#spec;
    const text = await this.read(manifest);
    const found = text === undefined ? undefined : parseManifest(text, format);
    if (found) return found;
    const isOwn = (key: string) =>
      key === LOCK || firstFolders.some((folder) => key.startsWith(`${folder}/`));
    if ((await this.#store.list("/")).every(isOwn)) return undefined;
    throw this.#conflict(
      `Cannot write to ${this.#store.place}: it holds files that are no results, name another place`,
    );
  }

  #conflict(message: string): OutputConflictError {
    return new OutputConflictError(message, this.#store.place);
  }
}

/** `undefined` of a file that only has the name of a manifest. */
function parseManifest(text: string, format: string): Manifest | undefined {
  try {
    const manifest = JSON.parse(text);
    return manifest?.format === format ? manifest : undefined;
  } catch {
    return undefined;
  }
}
