// Adds up what multiply_dense left in blocks, and what uniform blocks of the transition spread.
//
//   product[lane, bin] = sum over blocks of partial[block, lane, bin] + spread onto bin
//
// params           elements: where lane 0 starts in `product`, and from one lane to the next; sizes
// partial          [BLOCKS, LANES, KEPT] u32, wide; its first column is bin KEPT_FIRST, its last that is
//                  used bin KEPT_END - 1. Other bins get what is spread alone
// states, spread_weights, state_sums   as in shared/spread.wgsl
// product          u32, wide, written
//
// Blocks are added 8 by 8, then those sums: the order is fixed, and the error of f32 stays small. Where a
// lane has more than one level, relative to the largest.
// A thread makes 4 bins. Workgroups: x bins / (4 WORKGROUP), y lanes. f64 twin: test/reference/sum_blocks.ts.

override WORKGROUP: u32;

const GROUP: u32 = 8u;

struct Params {
  product_at: u32,
  product_stride: u32,
  lanes: u32,
  states: u32,
  bins: u32,
  blocks: u32,
  kept: u32,
  kept_first: u32,
  kept_end: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<u32>;
@group(0) @binding(2) var<storage, read> states: array<vec2u>;
@group(0) @binding(3) var<storage, read> spread_weights: array<f32>;
@group(0) @binding(4) var<storage, read> state_sums: array<u32>;
@group(0) @binding(5) var<storage, read_write> product: array<u32>;

fn quad_at(block: u32, columns: vec4u) -> vec4u {
  let at = block * params.lanes * params.kept + columns;
  return vec4u(partial[at.x], partial[at.y], partial[at.z], partial[at.w]);
}

// The sums over blocks for a lane that has a single level, times 2^100.
fn sum_near(columns: vec4u) -> vec4f {
  var sum = vec4f();
  for (var first = 0u; first < params.blocks; first += GROUP) {
    var group = vec4f();
    for (var block = first; block < min(params.blocks, first + GROUP); block++) {
      group += bitcast<vec4f>(quad_at(block, columns));
    }
    sum += group;
  }
  return sum;
}

// The same for any lane.
fn sum_wide(columns: vec4u) -> vec4u {
  var top = vec4i(WIDE_ZERO);
  for (var block = 0u; block < params.blocks; block++) {
    top = max(top, wide_exponents(quad_at(block, columns)));
  }
  var sum = vec4f();
  for (var first = 0u; first < params.blocks; first += GROUP) {
    var group = vec4f();
    for (var block = first; block < min(params.blocks, first + GROUP); block++) {
      let parts = wide_parts(quad_at(block, columns));
      group += scaled(parts.mantissa, parts.exponent - top);
    }
    sum += group;
  }
  return wide_of(sum, top);
}

@compute @workgroup_size(WORKGROUP)
fn sum_blocks(@builtin(global_invocation_id) id: vec3u) {
  let bins = vec4u(4u * id.x) + vec4u(0u, 1u, 2u, 3u);
  let lane = id.y;
  if (bins.x >= params.bins) {
    return;
  }
  let kept = (bins >= vec4u(params.kept_first)) & (bins < vec4u(params.kept_end));
  // others read the first column, and drop it
  let columns = lane * params.kept + select(vec4u(), bins - params.kept_first, kept);
  var result = vec4u();
  if (levels_of(lane) == 1u) {
    var sum = select(vec4f(), sum_near(columns), kept);
    for (var i = 0u; i < 4u; i++) {
      sum[i] += spread_near(bins[i], lane);
    }
    result = wide_from_level(sum, 0u);
  } else {
    result = wide_sum(select(vec4u(), sum_wide(columns), kept), spread_onto(bins, lane));
  }
  let at = params.product_at + lane * params.product_stride;
  for (var i = 0u; i < 4u; i++) {
    if (bins[i] < params.bins) {
      product[at + bins[i]] = result[i];
    }
  }
}
