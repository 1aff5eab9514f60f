// Products of many vectors with one dense matrix T, or with its transpose, in blocks of the sum.
//
//   product[lane, j] = sum over i of vectors[lane, i] * T[i, j]      TRANSPOSED 0
//   product[lane, i] = sum over j of T[i, j] * vectors[lane, j]      TRANSPOSED 1
//
// Below, "summed" is the index that is summed over and "kept" the other. Quads are 4 neighbours.
//
// params       first block of the sum and first quad of kept that this dispatch makes; element of
//              `vectors` where lane 0 starts, and elements from one lane to the next; sizes
// matrix       [PART_ROWS, COLUMNS] mat4x4<f32>, a run of quads of rows of T: entry (I, J) holds rows
//              4 I + c as columns c, over 4 J .. 4 J + 3. Zero beyond the edges of T
// vectors      u32, wide. Up to 3 elements behind a lane are read too, and meet zeros of T
// state_sums   [LANES, 1 + STATES] u32: first the levels of a lane's vector
// partial      [blocks, LANES, KEPT] vec4<u32>, wide, written: the sum over each block
//
// A block is 256 elements of the sum, always the same ones, so that neither the split of T over
// buffers nor the number of lanes a thread takes shows in a bit of the result; sum_blocks.wgsl adds
// them up. Within a block, 4 runs of 16 quads are summed by themselves and added to what those before
// them left. A run takes every fourth pair of quads, so that none holds all of a peak: f32 then errs by
// a few roundings of small sums. Pairs, because two tiles of a row of T share a line of most caches.
//
// Entries of T may be as small as 2^-98: below it, terms may be lost of vector elements near the end of a
// level. Numbers below 2^-128 are made for those lanes and blocks alone that they may change.
//
// A thread makes 4 quads of kept for TILE_LANES lanes: 16 loaded entries of T serve them all. Quads
// of a thread are a workgroup apart, so that neighbours load neighbouring memory. T in 4x4 tiles is
// read in runs of 64 bytes in both directions, with one bounds check a tile.
// Workgroups: x lanes / TILE_LANES, y quads of kept / (4 WORKGROUP), z blocks.
//
// f64 twin: test/reference/multiply_dense.ts.

override WORKGROUP: u32;
override TRANSPOSED: u32;
override TILE_LANES: u32;

// in quads of the sum
const BLOCK: u32 = 64u;
const RUNS: u32 = 4u;
const RUN: u32 = BLOCK / RUNS;

struct Params {
  first_block: u32,
  first_kept: u32,
  vectors_at: u32,
  vectors_stride: u32,
  lanes: u32,
  states: u32,
  // quads of rows and of columns of T, and quads of rows of a part
  rows: u32,
  columns: u32,
  part_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> matrix: array<mat4x4f>;
@group(0) @binding(2) var<storage, read> vectors: array<u32>;
@group(0) @binding(3) var<storage, read> state_sums: array<u32>;
@group(0) @binding(4) var<storage, read_write> partial: array<vec4u>;

fn quad_at(at: u32) -> vec4u {
  return vec4u(vectors[at], vectors[at + 1u], vectors[at + 2u], vectors[at + 3u]);
}

// The 16 products of 4 tiles with a quad of a vector.
fn times(a: mat4x4f, b: mat4x4f, c: mat4x4f, d: mat4x4f, v: vec4f) -> mat4x4f {
  if (TRANSPOSED == 1u) {
    return mat4x4f(v * a, v * b, v * c, v * d);
  }
  return mat4x4f(a * v, b * v, c * v, d * v);
}

fn times_near(a: mat4x4f, b: mat4x4f, c: mat4x4f, d: mat4x4f, at: u32) -> mat4x4f {
  return times(a, b, c, d, near_value(quad_at(at)));
}

// What a thread makes: quads of kept, counted from the first of this part, and the first entries of T
// that they take.
struct Kept {
  quads: vec4u,
  end: u32,
  entries: vec4u,
}

fn row_of(block: u32, lane: u32) -> u32 {
  return (block * params.lanes + lane) * select(params.columns, params.rows, TRANSPOSED == 1u) + params.first_kept;
}

// Adds a run to what the runs before it left of one lane, all of level 0.
fn add_run(block: u32, lane: u32, first: bool, kept: Kept, sum: mat4x4f) {
  if (lane >= params.lanes) {
    return;
  }
  let row = row_of(block, lane);
  for (var i = 0u; i < 4u; i++) {
    if (kept.quads[i] < kept.end) {
      let at = row + kept.quads[i];
      partial[at] = bitcast<vec4u>(select(bitcast<vec4f>(partial[at]), vec4f(), first) + sum[i]);
    }
  }
}

// Where the entries begin that a quad of the sum meets. Forward, a part holds the rows from its first
// block on.
fn matrix_row(quad: u32) -> u32 {
  if (TRANSPOSED == 1u) {
    return quad;
  }
  return (quad - params.first_block * BLOCK) * params.columns;
}

fn levels_of(lane: u32) -> u32 {
  return state_sums[lane * (1u + params.states)];
}

// Adds what the deeper levels of a lane make, one after the other, of those that there are.
fn add_deep(block: u32, end: u32, lane: u32, kept: Kept) {
  let row = row_of(block, lane);
  let source = params.vectors_at + lane * params.vectors_stride;
  let levels = levels_of(lane);
  var next = 1u;
  while (next < levels) {
    let level = next;
    var open = false;
    for (var i = 0u; i < 4u; i++) {
      if (kept.quads[i] < kept.end) {
        open = open || is_open(partial[row + kept.quads[i]], level);
      }
    }
    if (!open) {
      return;
    }
    next = levels;
    var sum = mat4x4f();
    for (var quad = block * BLOCK; quad < end; quad++) {
      let wide = quad_at(source + 4u * quad);
      let own = wide_levels(wide);
      let deeper = select(vec4u(levels), own, own > vec4u(level));
      next = min(min(next, min(deeper.x, deeper.y)), min(deeper.z, deeper.w));
      if (any(own == vec4u(level))) {
        let at = kept.entries + matrix_row(quad);
        let v = wide_at_level(wide, level);
        sum += times(matrix[at.x], matrix[at.y], matrix[at.z], matrix[at.w], v);
      }
    }
    for (var i = 0u; i < 4u; i++) {
      if (kept.quads[i] < kept.end) {
        let at = row + kept.quads[i];
        partial[at] = wide_sum(partial[at], wide_from_level(sum[i], level));
      }
    }
  }
}

@compute @workgroup_size(WORKGROUP)
fn multiply_dense(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
) {
  let transposed = TRANSPOSED == 1u;
  let summed = select(params.rows, params.columns, transposed);
  let kept_step = select(1u, params.columns, transposed);

  let block = params.first_block + group.z;
  let end = min(summed, (block + 1u) * BLOCK);
  let kept_end = select(params.columns, min(params.part_rows, params.rows - params.first_kept), transposed);
  let kept_first = group.y * 4u * WORKGROUP + thread;
  if (kept_first >= kept_end) {
    return;
  }
  let quads = vec4u(kept_first) + WORKGROUP * vec4u(0u, 1u, 2u, 3u);
  // a quad beyond the end loads the last one, and is not stored
  let source = min(quads, vec4u(kept_end - 1u)) * kept_step;
  let kept = Kept(quads, kept_end, source);

  let lane = group.x * TILE_LANES;
  let stride = params.vectors_stride;
  for (var run = 0u; run < RUNS; run++) {
    let run_first = block * BLOCK + 2u * run;
    if (run_first >= end) {
      break;
    }
    var sum0 = mat4x4f();
    var sum1 = mat4x4f();
    var sum2 = mat4x4f();
    var sum3 = mat4x4f();
    var sum4 = mat4x4f();
    var sum5 = mat4x4f();
    var sum6 = mat4x4f();
    var sum7 = mat4x4f();
    for (var i = 0u; i < RUN; i++) {
      let quad = run_first + 2u * RUNS * (i / 2u) + i % 2u;
      if (quad >= end) {
        break;
      }
      let row = matrix_row(quad);
      let a = matrix[row + source.x];
      let b = matrix[row + source.y];
      let c = matrix[row + source.z];
      let d = matrix[row + source.w];
      let at = params.vectors_at + lane * stride + 4u * quad;
      sum0 += times_near(a, b, c, d, at);
      if (TILE_LANES > 1u) {
        sum1 += times_near(a, b, c, d, at + stride);
      }
      if (TILE_LANES > 2u) {
        sum2 += times_near(a, b, c, d, at + 2u * stride);
        sum3 += times_near(a, b, c, d, at + 3u * stride);
      }
      if (TILE_LANES > 4u) {
        sum4 += times_near(a, b, c, d, at + 4u * stride);
        sum5 += times_near(a, b, c, d, at + 5u * stride);
        sum6 += times_near(a, b, c, d, at + 6u * stride);
        sum7 += times_near(a, b, c, d, at + 7u * stride);
      }
    }
    // one copy of add_run in the program: 8 of them double the time to compile it
    for (var i = 0u; i < TILE_LANES; i++) {
      var sum = sum0;
      switch (i) {
        case 1u: { sum = sum1; }
        case 2u: { sum = sum2; }
        case 3u: { sum = sum3; }
        case 4u: { sum = sum4; }
        case 5u: { sum = sum5; }
        case 6u: { sum = sum6; }
        case 7u: { sum = sum7; }
        default: {}
      }
      add_run(block, lane + i, run == 0u, kept, sum);
    }
  }
  // from the first lane that has them: software adapters run through the first turn of a loop that no
  // thread enters
  let lanes_end = min(params.lanes, lane + TILE_LANES);
  var deep = lane;
  while (deep < lanes_end && levels_of(deep) == 1u) {
    deep++;
  }
  for (; deep < lanes_end; deep++) {
    add_deep(block, end, deep, kept);
  }
}
