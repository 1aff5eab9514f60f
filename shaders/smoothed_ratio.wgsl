// What all rows say of the bins of a row, over what the rows before it let expect: one workgroup a row.
//
//   ratio = smoothed / predicted, over the power of two that makes the largest about 1; 0 where either is 0
//
// params          rows [first_row, end_row) of the tile, counted through all lanes; tile_rows of a lane; stride,
//                 elements of a row; bins
// places          [bins] u32, offset of each bin in a row
// smoothed        [lanes * tile_rows, stride] u32, wide
// smoothed_next   [lanes, stride] u32, wide, the row after the last of each lane
// ratio           [lanes * (tile_rows + 1), stride] u32, wide: predictions, a lane having one row more of them. Of
//                 a row, that of the row after it is turned into its ratio; the first of a lane stays as it is
// shifts          [lanes * tile_rows] i32, written: the power of two
//
// f64 twin: test/reference/hmm_ratio.ts.

override WORKGROUP: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  tile_rows: u32,
  stride: u32,
  bins: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> places: array<u32>;
@group(0) @binding(2) var<storage, read> smoothed: array<u32>;
@group(0) @binding(3) var<storage, read> smoothed_next: array<u32>;
@group(0) @binding(4) var<storage, read_write> ratio: array<u32>;
@group(0) @binding(5) var<storage, read_write> shifts: array<i32>;

struct Quotient {
  mantissa: f32,
  exponent: i32,
}

fn quotient_of(above: u32, below: u32) -> Quotient {
  let nothing = (above == 0u) | (below == 0u);
  let exponent = select(exponent_of(above) - exponent_of(below), WIDE_ZERO, nothing);
  return Quotient(mantissa_of(above) / mantissa_of(below), exponent);
}

@compute @workgroup_size(WORKGROUP)
fn smoothed_ratio(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let row = params.first_row + group.y * groups.x + group.x;
  if (row >= params.end_row) {
    return;
  }
  let lane = row / params.tile_rows;
  let is_last = row % params.tile_rows == params.tile_rows - 1u;
  // of the row after: the last of a lane has it from the tile that follows
  let after = select(row + 1u, 0u, is_last) * params.stride;
  let carried = lane * params.stride;
  let next = (row + lane + 1u) * params.stride;
  var most = WIDE_ZERO;
  for (var bin = thread; bin < params.bins; bin += WORKGROUP) {
    let place = places[bin];
    let above = select(smoothed[after + place], smoothed_next[carried + place], is_last);
    most = max(most, quotient_of(above, ratio[next + place]).exponent);
  }
  let largest = largest_exponent(thread, most);
  let shift = select(largest, 0, largest == WIDE_ZERO);
  for (var bin = thread; bin < params.bins; bin += WORKGROUP) {
    let place = places[bin];
    let above = select(smoothed[after + place], smoothed_next[carried + place], is_last);
    let own = quotient_of(above, ratio[next + place]);
    let number = number_of(own.mantissa, own.exponent - shift);
    ratio[next + place] = select(number, 0u, own.exponent == WIDE_ZERO);
  }
  if (thread == 0u) {
    shifts[row] = shift;
  }
}
