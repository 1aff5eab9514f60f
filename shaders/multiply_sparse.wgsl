// Products of many vectors with one sparse matrix T, or with its transpose, and with what uniform
// blocks spread.
//
//   product[lane, j] = sum over i of vectors[lane, i] * T[i, j] + spread onto j      TRANSPOSED 0
//   product[lane, i] = sum over j of T[i, j] * vectors[lane, j] + spread onto i      TRANSPOSED 1
//
// T is kept as its 4x4 tiles that are not zero: bins that are neighbours reach nearly the same bins,
// and a tile is read with one index and one bounds check for 16 entries.
//
// params           elements of `vectors` and `product`: where lane 0 starts, and from one lane to the next;
//                  LANES, STATES and BINS
// tiles            [tiles] mat4x4<f32>: rows 4 I + c of T as columns c, over 4 J .. 4 J + 3; the first
//                  is zero
// slices           [ceil(quads of BINS / 32) + 1] u32, first entry of each 32 quads of results
// entries          vec2<u32>: which quad of `vectors`, and which tile. In a slice entry k of quad r
//                  lies at 32 k + r, filled up with tile 0 to the longest: neighbours read
//                  neighbouring memory. One list for T, one for its transpose
// vectors          u32, wide. Up to 3 elements behind a lane are read too, and meet zeros of T
// states, spread_weights, state_sums   as in shared/spread.wgsl
// product          u32, wide, written
//
// Entries of T may be as small as 2^-98: below it, terms may be lost of vector elements near the end of a
// level. Numbers below 2^-128 are made for those lanes and results alone that they may change.
//
// A thread makes 4 results for TILE_LANES lanes: a tile is read once for all of them. Runs of up to 16
// tiles are summed by themselves, each of them spread over the whole list, so that none holds all of a
// peak: f32 then errs by a few roundings of small sums.
// Workgroups: x quads / WORKGROUP, y lanes / TILE_LANES. f64 twin: test/reference/multiply_sparse.ts.

override WORKGROUP: u32;
override TRANSPOSED: u32;
override TILE_LANES: u32;

const SLICE: u32 = 32u;
const RUN: u32 = 16u;

struct Params {
  vectors_at: u32,
  vectors_stride: u32,
  product_at: u32,
  product_stride: u32,
  lanes: u32,
  states: u32,
  bins: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tiles: array<mat4x4f>;
@group(0) @binding(2) var<storage, read> slices: array<u32>;
@group(0) @binding(3) var<storage, read> entries: array<vec2u>;
@group(0) @binding(4) var<storage, read> vectors: array<u32>;
@group(0) @binding(5) var<storage, read> states: array<vec2u>;
@group(0) @binding(6) var<storage, read> spread_weights: array<f32>;
@group(0) @binding(7) var<storage, read> state_sums: array<u32>;
@group(0) @binding(8) var<storage, read_write> product: array<u32>;

fn quad_at(at: u32) -> vec4u {
  return vec4u(vectors[at], vectors[at + 1u], vectors[at + 2u], vectors[at + 3u]);
}

fn times(tile: mat4x4f, v: vec4f) -> vec4f {
  if (TRANSPOSED == 1u) {
    return v * tile;
  }
  return tile * v;
}

fn times_near(tile: mat4x4f, at: u32) -> vec4f {
  return times(tile, near_value(quad_at(at)));
}

// Adds to a product what its deeper levels make, one after the other, of those that there are.
fn add_deep(near: vec4u, entries_from: u32, entries_end: u32, source: u32, levels: u32) -> vec4u {
  var product = near;
  var next = 1u;
  while (next < levels && is_open(product, next)) {
    let level = next;
    next = levels;
    var sum = vec4f();
    for (var entry = entries_from; entry < entries_end; entry += SLICE) {
      let wide = quad_at(source + 4u * entries[entry].x);
      let own = wide_levels(wide);
      let deeper = select(vec4u(levels), own, own > vec4u(level));
      next = min(min(next, min(deeper.x, deeper.y)), min(deeper.z, deeper.w));
      if (any(own == vec4u(level))) {
        sum += times(tiles[entries[entry].y], wide_at_level(wide, level));
      }
    }
    product = wide_sum(product, wide_from_level(sum, level));
  }
  return product;
}

@compute @workgroup_size(WORKGROUP)
fn multiply_sparse(@builtin(global_invocation_id) id: vec3u) {
  let quad = id.x;
  if (4u * quad >= params.bins) {
    return;
  }
  let slice = quad / SLICE;
  let end = slices[slice + 1u];
  let first_lane = id.y * TILE_LANES;
  let stride = params.vectors_stride;
  let source = params.vectors_at + first_lane * stride;
  var sums = array<vec4f, 8>();
  let begin = slices[slice];
  let runs = ((end - begin) / SLICE + RUN - 1u) / RUN;
  for (var run = 0u; run < runs; run++) {
    var sum0 = vec4f();
    var sum1 = vec4f();
    var sum2 = vec4f();
    var sum3 = vec4f();
    var sum4 = vec4f();
    var sum5 = vec4f();
    var sum6 = vec4f();
    var sum7 = vec4f();
    for (var entry = begin + run * SLICE + quad % SLICE; entry < end; entry += runs * SLICE) {
      let tile = tiles[entries[entry].y];
      let at = source + 4u * entries[entry].x;
      sum0 += times_near(tile, at);
      if (TILE_LANES > 1u) {
        sum1 += times_near(tile, at + stride);
      }
      if (TILE_LANES > 2u) {
        sum2 += times_near(tile, at + 2u * stride);
        sum3 += times_near(tile, at + 3u * stride);
      }
      if (TILE_LANES > 4u) {
        sum4 += times_near(tile, at + 4u * stride);
        sum5 += times_near(tile, at + 5u * stride);
        sum6 += times_near(tile, at + 6u * stride);
        sum7 += times_near(tile, at + 7u * stride);
      }
    }
    sums[0] += sum0;
    sums[1] += sum1;
    sums[2] += sum2;
    sums[3] += sum3;
    sums[4] += sum4;
    sums[5] += sum5;
    sums[6] += sum6;
    sums[7] += sum7;
  }
  let bins = vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u);
  // lanes with a single level first, then the others: software adapters run through a branch that no
  // thread takes, and through the first turn of a loop
  var first_deep = TILE_LANES;
  for (var i = 0u; i < TILE_LANES && first_lane + i < params.lanes; i++) {
    let lane = first_lane + i;
    if (levels_of(lane) > 1u) {
      first_deep = min(first_deep, i);
      continue;
    }
    var sum = sums[i];
    for (var j = 0u; j < 4u; j++) {
      sum[j] += spread_near(bins[j], lane);
    }
    store(lane, bins, wide_from_level(sum, 0u));
  }
  for (var i = first_deep; i < TILE_LANES && first_lane + i < params.lanes; i++) {
    let lane = first_lane + i;
    let levels = levels_of(lane);
    if (levels > 1u) {
      let near = wide_sum(wide_from_level(sums[i], 0u), spread_onto(bins, lane));
      store(lane, bins, add_deep(near, begin + quad % SLICE, end, source + i * stride, levels));
    }
  }
}

fn store(lane: u32, bins: vec4u, result: vec4u) {
  let at = params.product_at + lane * params.product_stride;
  for (var j = 0u; j < 4u; j++) {
    if (bins[j] < params.bins) {
      product[at + bins[j]] = result[j];
    }
  }
}
