// Adds up what multiply_dense left in blocks, and what uniform blocks of the transition spread.
//
//   product[lane, bin] = sum over blocks of partial[block, lane, bin] + spread onto bin
//
// params           elements: where lane 0 starts in `product` and in `state_sums`, and from one lane
//                  to the next
// partial          [BLOCKS, LANES, KEPT] f32; its first column is bin KEPT_FIRST, its last that is
//                  used bin KEPT_END - 1. Other bins get what is spread alone
// states, spread_weights, state_sums   as in shared/spread.wgsl
// product          f32, written
//
// Blocks are added 8 by 8, then those sums: the order is fixed, and the error of f32 stays small.
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
  sums_at: u32,
  sums_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read> states: array<vec2u>;
@group(0) @binding(3) var<storage, read> spread_weights: array<f32>;
@group(0) @binding(4) var<storage, read> state_sums: array<f32>;
@group(0) @binding(5) var<storage, read_write> product: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn sum_blocks(@builtin(global_invocation_id) id: vec3u) {
  let bin = id.x;
  let lane = id.y;
  if (bin >= BINS) {
    return;
  }
  var sum = 0.0;
  if (bin >= KEPT_FIRST && bin < KEPT_END) {
    let column = bin - KEPT_FIRST;
    for (var first = 0u; first < BLOCKS; first += GROUP) {
      var group = 0.0;
      for (var block = first; block < min(BLOCKS, first + GROUP); block++) {
        group += partial[(block * LANES + lane) * KEPT + column];
      }
      sum += group;
    }
  }
  sum += spread_onto(bin, params.sums_at + lane * params.sums_stride);
  product[params.product_at + lane * params.product_stride + bin] = sum;
}
