/**
 * What a model that runs brings.
 *
 * @module
 */

import type { ActsFacts, CastType } from "./types.ts";

/** Some tokens of a sample, as a model brings them: all of a prompt, or one that it made. */
export interface LiveBlock {
  /** Of the sample; blocks of one follow each other. */
  id: string;
  /** `[tokens, hidden]` of each layer: f32, or bits where `dtype` is of 16. */
  layers: Readonly<Record<number, Float32Array | Uint16Array>>;
  /** Whether these tokens count, all of them or each. All when not given. */
  detected?: boolean | ArrayLike<number | boolean>;
}

/** Blocks, or what brings those of samples that are not there yet. */
export type LiveBlocks =
  | AsyncIterable<LiveBlock>
  | ((there: { done: ReadonlySet<string> }) => AsyncIterable<LiveBlock>);

/** What brings blocks, and what they are. */
export interface LiveStream {
  blocks: LiveBlocks;
  layers: readonly number[];
  hidden: number;
  dtype: CastType;
  writer: string;
  partBytes: number;
  facts: ActsFacts;
}
