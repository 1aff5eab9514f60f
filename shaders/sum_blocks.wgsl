// Adds up what multiply_dense left in blocks, and what uniform blocks of the transition spread.
//
//   product[lane, bin] = sum over blocks of partial[block, lane, bin] + spread onto bin
//
// params           elements: where lane 0 starts in `product`, and from one lane to the next
// partial          [BLOCKS, LANES, KEPT] u32, wide; its first column is bin KEPT_FIRST, its last that is
//                  used bin KEPT_END - 1. Other bins get what is spread alone
// states, spread_weights, state_sums   as in shared/spread.wgsl
// product          u32, wide, written
//
// Blocks are added 8 by 8, then those sums: the order is fixed, and the error of f32 stays small. Where a
// lane has more than one level, relative to the largest.
// Workgroups: x bins / WORKGROUP, y lanes. f64 twin: test/reference/sum_blocks.ts.

override WORKGROUP: u32;
override LANES: u32;
override STATES: u32;
override BINS: u32;
override BLOCKS: u32;
override KEPT: u32;
override KEPT_FIRST: u32;
override KEPT_END: u32;

const GROUP: u32 = 8u;

struct Params {
  product_at: u32,
  product_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<u32>;
@group(0) @binding(2) var<storage, read> states: array<vec2u>;
@group(0) @binding(3) var<storage, read> spread_weights: array<f32>;
@group(0) @binding(4) var<storage, read> state_sums: array<u32>;
@group(0) @binding(5) var<storage, read_write> product: array<u32>;

// The sum over blocks for a lane that has a single level, times 2^100.
fn sum_near(column: u32) -> f32 {
  var sum = 0.0;
  for (var first = 0u; first < BLOCKS; first += GROUP) {
    var group = 0.0;
    for (var block = first; block < min(BLOCKS, first + GROUP); block++) {
      group += bitcast<f32>(partial[block * LANES * KEPT + column]);
    }
    sum += group;
  }
  return sum;
}

// The same for any lane.
fn sum_wide(column: u32) -> vec4u {
  var top = WIDE_ZERO;
  for (var block = 0u; block < BLOCKS; block++) {
    top = max(top, wide_exponents(vec4u(partial[block * LANES * KEPT + column])).x);
  }
  var sum = vec4f();
  for (var first = 0u; first < BLOCKS; first += GROUP) {
    var group = vec4f();
    for (var block = first; block < min(BLOCKS, first + GROUP); block++) {
      let parts = wide_parts(vec4u(partial[block * LANES * KEPT + column]));
      group += scaled(parts.mantissa, parts.exponent - top);
    }
    sum += group;
  }
  return wide_of(sum, vec4i(top));
}

@compute @workgroup_size(WORKGROUP)
fn sum_blocks(@builtin(global_invocation_id) id: vec3u) {
  let bin = id.x;
  let lane = id.y;
  if (bin >= BINS) {
    return;
  }
  let kept = bin >= KEPT_FIRST && bin < KEPT_END;
  let column = lane * KEPT + bin - KEPT_FIRST;
  var wide = vec4u();
  if (levels_of(lane) == 1u) {
    var sum = spread_near(bin, lane);
    if (kept) {
      sum += sum_near(column);
    }
    wide = wide_from_level(vec4f(sum), 0u);
  } else {
    wide = spread_onto(vec4u(bin), lane);
    if (kept) {
      wide = wide_sum(wide, sum_wide(column));
    }
  }
  product[params.product_at + lane * params.product_stride + bin] = wide.x;
}
