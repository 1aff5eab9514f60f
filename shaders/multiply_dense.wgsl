// Products of many vectors with one dense matrix T, or with its transpose, in blocks of the sum.
//
//   product[lane, j] = sum over i of vectors[lane, i] * T[i, j]      TRANSPOSED 0
//   product[lane, i] = sum over j of T[i, j] * vectors[lane, j]      TRANSPOSED 1
//
// Below, "summed" is the index that is summed over and "kept" the other. Quads are 4 neighbours.
//
// params       first block of the sum and first quad of kept that this dispatch makes; element of
//              `vectors` where lane 0 starts, and elements from one lane to the next
// matrix       [PART_ROWS, COLUMNS] mat4x4<f32>, a run of quads of rows of T: entry (I, J) holds rows
//              4 I + c as columns c, over 4 J .. 4 J + 3. Zero beyond the edges of T
// vectors      f32. Up to 3 elements behind a lane are read too, and meet zeros of T
// partial      [blocks, LANES, KEPT] vec4<f32>, written: the sum over each block
//
// A block is 256 elements of the sum, always the same ones, so that neither the split of T over
// buffers nor the number of lanes a thread takes shows in a bit of the result; sum_blocks.wgsl adds
// them up. Within a block, 4 runs of 16 quads are summed by themselves and added to what those before
// them left. A run takes every fourth pair of quads, so that none holds all of a peak: f32 then errs by
// a few roundings of small sums. Pairs, because two tiles of a row of T share a line of most caches.
//
// A thread makes 4 quads of kept for TILE_LANES lanes: 16 loaded entries of T serve them all. Quads
// of a thread are a workgroup apart, so that neighbours load neighbouring memory. T in 4x4 tiles is
// read in runs of 64 bytes in both directions, with one bounds check a tile.
// Workgroups: x lanes / TILE_LANES, y quads of kept / (4 WORKGROUP), z blocks.
//
// f64 twin: test/reference/multiply_dense.ts.

override WORKGROUP: u32;
override TRANSPOSED: u32;
override LANES: u32;
override TILE_LANES: u32;
// quads of rows and of columns of T, and quads of rows of a part
override ROWS: u32;
override COLUMNS: u32;
override PART_ROWS: u32;

// in quads of the sum
const BLOCK: u32 = 64u;
const RUNS: u32 = 4u;
const RUN: u32 = BLOCK / RUNS;

struct Params {
  first_block: u32,
  first_kept: u32,
  vectors_at: u32,
  vectors_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> matrix: array<mat4x4f>;
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
@group(0) @binding(3) var<storage, read_write> partial: array<vec4f>;

// The 16 products of 4 tiles with a quad of a vector.
fn times(a: mat4x4f, b: mat4x4f, c: mat4x4f, d: mat4x4f, at: u32) -> mat4x4f {
  let v = vec4f(vectors[at], vectors[at + 1u], vectors[at + 2u], vectors[at + 3u]);
  if (TRANSPOSED == 1u) {
    return mat4x4f(v * a, v * b, v * c, v * d);
  }
  return mat4x4f(a * v, b * v, c * v, d * v);
}

// Adds a run to what the runs before it left of one lane.
fn add_run(block: u32, lane: u32, first: bool, kept: vec4u, kept_end: u32, sum: mat4x4f) {
  if (lane >= LANES) {
    return;
  }
  let row = (block * LANES + lane) * select(COLUMNS, ROWS, TRANSPOSED == 1u) + params.first_kept;
  for (var i = 0u; i < 4u; i++) {
    if (kept[i] < kept_end) {
      let at = row + kept[i];
      partial[at] = select(partial[at], vec4f(), first) + sum[i];
    }
  }
}

@compute @workgroup_size(WORKGROUP)
fn multiply_dense(
  @builtin(local_invocation_index) thread: u32,
  @builtin(workgroup_id) group: vec3u,
) {
  let transposed = TRANSPOSED == 1u;
  let summed = select(ROWS, COLUMNS, transposed);
  let summed_step = select(COLUMNS, 1u, transposed);
  let kept_step = select(1u, COLUMNS, transposed);

  let block = params.first_block + group.z;
  let end = min(summed, (block + 1u) * BLOCK);
  // quads of kept, counted from the first of this part
  let kept_end = select(COLUMNS, min(PART_ROWS, ROWS - params.first_kept), transposed);
  let kept_first = group.y * 4u * WORKGROUP + thread;
  if (kept_first >= kept_end) {
    return;
  }
  let kept = vec4u(kept_first) + WORKGROUP * vec4u(0u, 1u, 2u, 3u);
  // a quad beyond the end loads the last one, and is not stored
  let source = min(kept, vec4u(kept_end - 1u)) * kept_step;

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
      // forward, a part holds the rows from its first block on
      let row = select(quad - params.first_block * BLOCK, quad, transposed) * summed_step;
      let a = matrix[row + source.x];
      let b = matrix[row + source.y];
      let c = matrix[row + source.z];
      let d = matrix[row + source.w];
      let at = params.vectors_at + lane * stride + 4u * quad;
      sum0 += times(a, b, c, d, at);
      if (TILE_LANES > 1u) {
        sum1 += times(a, b, c, d, at + stride);
      }
      if (TILE_LANES > 2u) {
        sum2 += times(a, b, c, d, at + 2u * stride);
        sum3 += times(a, b, c, d, at + 3u * stride);
      }
      if (TILE_LANES > 4u) {
        sum4 += times(a, b, c, d, at + 4u * stride);
        sum5 += times(a, b, c, d, at + 5u * stride);
        sum6 += times(a, b, c, d, at + 6u * stride);
        sum7 += times(a, b, c, d, at + 7u * stride);
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
      add_run(block, lane + i, run == 0u, kept, kept_end, sum);
    }
  }
}
