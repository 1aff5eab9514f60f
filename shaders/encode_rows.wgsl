// Rounds rows of probabilities to 16 bits, two elements a word, ready to be read back.
//
// ENCODING 0: half floats, ties to even, by integers alone (no shader-f16 is needed)
//          1: 65535 p, the nearest whole number
//          2: 65535 sqrt(p / row peak); what is not the row's peak is at most 65534, so that the
//             largest element of a row stays the largest
//
// params           rows [first_row, end_row) of the tile; width of a row; elements of the tile
// packed           [rows, width] f32, in [0, 1]
// row_peaks        [rows] f32, read where ENCODING is 2
// encoded          [rows * width / 2, rounded up] u32, written; element 2i in the lower half of word i
//
// One thread a word of the flat result: rows have odd widths, so a word may belong to two rows, and
// is then written once with each. Twin: test/reference/encode_rows.ts.

override WORKGROUP: u32;
override ENCODING: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  width: u32,
  elements: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> packed: array<f32>;
@group(0) @binding(2) var<storage, read> row_peaks: array<f32>;
@group(0) @binding(3) var<storage, read_write> encoded: array<u32>;

// Below 2^-14 a half has fewer bits and no implied one; below half of its smallest it is 0.
fn half_bits(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  let exponent = bits >> 23u;
  if (exponent < 102u) {
    return 0u;
  }
  let small = exponent < 113u;
  let fraction = select(bits - (112u << 23u), (bits & 0x7fffffu) | 0x800000u, small);
  let shift = select(13u, 126u - exponent, small);
  let kept = fraction >> shift;
  let rest = fraction & ((1u << shift) - 1u);
  let tie = 1u << (shift - 1u);
  return kept + select(0u, 1u, rest > tie || (rest == tie && (kept & 1u) == 1u));
}

fn encode(element: u32) -> u32 {
  if (element >= params.elements) {
    return 0u;
  }
  let value = packed[element];
  if (ENCODING == 0u) {
    return half_bits(value);
  }
  if (ENCODING == 1u) {
    return u32(clamp(value, 0.0, 1.0) * 65535.0 + 0.5);
  }
  let peak = row_peaks[element / params.width];
  if (peak == 0.0) {
    return 0u;
  }
  let root = u32(65535.0 * sqrt(value / peak) + 0.5);
  return select(min(root, 65534u), 65535u, value == peak);
}

@compute @workgroup_size(WORKGROUP)
fn encode_rows(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let word = params.first_row * params.width / 2u + (group.y * groups.x + group.x) * WORKGROUP +
    lane;
  if (2u * word < params.end_row * params.width) {
    encoded[word] = encode(2u * word) | (encode(2u * word + 1u) << 16u);
  }
}
