// Products of many vectors with one sparse matrix, and with what uniform blocks spread.
//
//   product[lane, row] = sum over entries of row: value * vectors[lane, index], + spread onto row
//
// A row lists what it gathers: for v @ T that is a column of T, for T @ v a row. One list each.
//
// params           elements: where lane 0 starts in `vectors`, in `product` and in `state_sums`; the
//                  stride of state_sums. Lanes lie VECTORS_STRIDE and PRODUCT_STRIDE apart
// slices           [ceil(BINS / 32) + 1] u32, first entry of each 32 rows
// entries          (index u32, bits of value f32); within a slice entry k of row r at 32 k + r, the
//                  rows filled up with zeros to the longest: neighbours read neighbouring memory
// vectors          f32
// states, spread_weights, state_sums   as in shared/spread.wgsl
// product          f32, written
//
// A thread gathers one row for TILE_LANES lanes: an entry is read once for them. Runs of 16 entries
// are summed by themselves, so that the error of f32 stays small in long rows.
// Workgroups: x rows / WORKGROUP, y lanes / TILE_LANES. f64 twin: test/reference/multiply_sparse.ts.

override WORKGROUP: u32;
override LANES: u32;
override TILE_LANES: u32;
override STATES: u32;
override BINS: u32;
override VECTORS_STRIDE: u32;
override PRODUCT_STRIDE: u32;

const SLICE: u32 = 32u;
const RUN: u32 = 16u;

struct Params {
  vectors_at: u32,
  product_at: u32,
  sums_at: u32,
  sums_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> slices: array<u32>;
@group(0) @binding(2) var<storage, read> entries: array<vec2u>;
@group(0) @binding(3) var<storage, read> vectors: array<f32>;
@group(0) @binding(4) var<storage, read> states: array<vec2u>;
@group(0) @binding(5) var<storage, read> spread_weights: array<f32>;
@group(0) @binding(6) var<storage, read> state_sums: array<f32>;
@group(0) @binding(7) var<storage, read_write> product: array<f32>;

fn gather(at: u32) -> vec4f {
  return vec4f(
    vectors[at],
    vectors[at + VECTORS_STRIDE],
    vectors[at + 2u * VECTORS_STRIDE],
    vectors[at + 3u * VECTORS_STRIDE]);
}

@compute @workgroup_size(WORKGROUP)
fn multiply_sparse(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= BINS) {
    return;
  }
  let slice = row / SLICE;
  let end = slices[slice + 1u] + row % SLICE;
  let first_lane = id.y * TILE_LANES;
  let source = params.vectors_at + first_lane * VECTORS_STRIDE;
  var low = vec4f();
  var high = vec4f();
  for (var run = slices[slice] + row % SLICE; run < end; run += RUN * SLICE) {
    var low_run = vec4f();
    var high_run = vec4f();
    for (var at = run; at < min(end, run + RUN * SLICE); at += SLICE) {
      let entry = entries[at];
      let value = bitcast<f32>(entry.y);
      if (TILE_LANES == 1u) {
        low_run.x += value * vectors[source + entry.x];
      } else {
        low_run += value * gather(source + entry.x);
      }
      if (TILE_LANES == 8u) {
        high_run += value * gather(source + entry.x + 4u * VECTORS_STRIDE);
      }
    }
    low += low_run;
    high += high_run;
  }
  for (var i = 0u; i < TILE_LANES; i++) {
    let lane = first_lane + i;
    if (lane < LANES) {
      let sum = select(low[i % 4u], high[i % 4u], i >= 4u);
      product[params.product_at + lane * PRODUCT_STRIDE + row] = sum +
        spread_onto(row, params.sums_at + lane * params.sums_stride);
    }
  }
}
