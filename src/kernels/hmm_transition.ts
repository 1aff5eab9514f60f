/**
 * What the two HMM kernels share: their bindings of the transition operator and their constants.
 *
 * @module
 */

/** Most discrete states, and most convolutions a step, that the kernels' uniform has room for. */
export const MAX_STATES = 8;
export const MAX_JOBS = 8;
/** Most taps, in entries of the uniform's arrays. */
export const MAX_TAPS_X = 1024;
export const MAX_TAPS_Y = 256;

/** Byte offsets of struct `Transition` in shaders/shared/transition.wgsl. */
export const TRANSITION_LAYOUT = (() => {
  const jobs = 32;
  const weights = jobs + 16 * MAX_JOBS;
  const tapsX = weights + 16 * MAX_STATES * MAX_STATES;
  const tapsY = tapsX + 16 * MAX_TAPS_X;
  return { sizes: 0, jobs, weights, tapsX, tapsY, bytes: tapsY + 64 * MAX_TAPS_Y };
})();

/** Sizes of a transition on a grid. */
export interface HmmShape {
  states: number;
  /** Cells of 4 bins that hold an interior bin. */
  cells: number;
  /** Convolutions a step. */
  jobs: number;
  /** Padded grid: vec4 in all, and vec4 from one row to the next. */
  padded: number;
  stride: number;
  /** Grid rows a thread makes at a time: 4, or 1 on a one-dimensional grid. */
  groupRows: 1 | 4;
  /** Whether some block is an identity. */
  stays: boolean;
  /** Groups of the half-way and of the final convolution. */
  halfwayGroups: number;
  resultGroups: number;
}

// one hardware wave on most GPUs; see src/gpu/threads.ts
const HMM_WORKGROUP = 32;

/** Bytes of `field` that a lane takes: source, half-way value and result of every convolution. */
export function fieldBytes({ jobs, padded }: HmmShape): number {
  return 3 * 16 * Math.max(1, jobs) * padded;
}

/** Values of the kernels' `override` constants. */
export function hmmConstants(shape: HmmShape): Record<string, number> {
  return {
    WORKGROUP: HMM_WORKGROUP,
    STATES: shape.states,
    JOBS: shape.jobs,
    GROUP_ROWS: shape.groupRows,
    STAYS: shape.stays ? 1 : 0,
  };
}

/** The sizes at the head of struct `Transition`. */
export function transitionSizes(shape: HmmShape): number[] {
  const { cells, padded, stride, halfwayGroups, resultGroups } = shape;
  return [cells, padded, stride, halfwayGroups, resultGroups, cells, cells + halfwayGroups];
}
