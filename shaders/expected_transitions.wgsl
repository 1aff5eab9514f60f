// How likely each discrete state is followed by each, at every row, given all rows: one workgroup for a row and a
// pair of states.
//
//   expected(a, b) = D[a, b] * sum over bins i of a: filtered_i * sum over bins j of b: C_ab[i, j] * ratio_j
//
// params      rows [first_row, end_row) of the tile, counted through all lanes; tile_rows of a lane; stride, elements
//             of a row
// tables      u32: [STATES + 1] first bin of each state, then all bins; [STATES, STATES, 2] where the rows of a pair's
//             block begin, or ALIKE, and the bits of an f32 that all of it is weighed by; [bins] offset of each bin
//             in a row; then, for every block, where the entries of its rows begin, and where they end
// entries     [entries, 2] u32: bin of the target's, and the bits of p(bin | row's bin), f32
// filtered    [lanes * tile_rows, stride] u32, wide
// ratio       [lanes * (tile_rows + 1), stride] u32, wide, and shifts [lanes * tile_rows], as smoothed_ratio.wgsl
//             leaves them
// expected    [lanes * tile_rows, STATES, STATES] f32, written
//
// A block whose probabilities are all alike needs no entries: its sum is a product of two. f64 twin:
// test/reference/expected_transitions.ts.

override WORKGROUP: u32;
override STATES: u32;

const ALIKE: u32 = 0xffffffffu;
const MOST_NEAR: i32 = 60;

struct Params {
  first_row: u32,
  end_row: u32,
  tile_rows: u32,
  stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tables: array<u32>;
@group(0) @binding(2) var<storage, read> entries: array<vec2u>;
@group(0) @binding(3) var<storage, read> filtered: array<u32>;
@group(0) @binding(4) var<storage, read> ratio: array<u32>;
@group(0) @binding(5) var<storage, read> shifts: array<i32>;
@group(0) @binding(6) var<storage, read_write> expected: array<f32>;

var<workgroup> sums: array<f32, WORKGROUP>;

fn place_of(bin: u32) -> u32 {
  return tables[STATES + 1u + 2u * STATES * STATES + bin];
}

// The sum of every thread's value, the same in all of them. Uniform control flow.
fn add_up(thread: u32, value: f32) -> f32 {
  workgroupBarrier();
  sums[thread] = value;
  workgroupBarrier();
  for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
    if (thread < width) {
      sums[thread] += sums[thread + width];
    }
    workgroupBarrier();
  }
  return sums[0];
}

// A number of a row: of `ratio`, or of `filtered`.
fn number_at(is_ratio: bool, at: u32) -> u32 {
  var number = 0u;
  if (is_ratio) {
    number = ratio[at];
  } else {
    number = filtered[at];
  }
  return number;
}

struct Total {
  value: f32,
  exponent: i32,
}

// The sum over the bins of a state, as value * 2^exponent, however little that is.
fn total_of(thread: u32, is_ratio: bool, row_at: u32, state: u32) -> Total {
  let end = tables[state + 1u];
  var most = WIDE_ZERO;
  for (var bin = tables[state] + thread; bin < end; bin += WORKGROUP) {
    most = max(most, exponent_of(number_at(is_ratio, row_at + place_of(bin))));
  }
  let exponent = largest_exponent(thread, most);
  var sum = 0.0;
  for (var bin = tables[state] + thread; bin < end; bin += WORKGROUP) {
    let number = number_at(is_ratio, row_at + place_of(bin));
    sum += mantissa_of(number) * two_to(exponent_of(number) - max(exponent, WIDE_LEAST));
  }
  return Total(add_up(thread, sum), exponent);
}

// The sum over a block that has entries. Where no ratio is above 2^60, those below 2^-128 of the largest add nothing
// that f32 shows, and the others are f32 already, times 2^100 (see wide.wgsl): one multiply-add an entry.
fn through_entries(thread: u32, here: u32, next: u32, shift: i32, rows_at: u32, pair: vec2u) -> f32 {
  let first = tables[pair.x];
  let end = tables[pair.x + 1u];
  let target_first = tables[pair.y];
  let near = shift <= MOST_NEAR;
  var sum = 0.0;
  for (var bin = first + thread; bin < end; bin += WORKGROUP) {
    let before = filtered[here + place_of(bin)];
    let exponent = exponent_of(before) + shift;
    let entries_first = tables[rows_at + bin - first];
    let entries_end = tables[rows_at + bin - first + 1u];
    var own = 0.0;
    for (var entry = entries_first; entry < select(entries_first, entries_end, near); entry++) {
      let after = bitcast<f32>(ratio[next + place_of(target_first + entries[entry].x)]);
      own += max(after, 0.0) * bitcast<f32>(entries[entry].y);
    }
    // exact, and further than one factor reaches
    own = own * 0x1p-100f * two_to(select(0, exponent, near));
    for (var entry = select(entries_first, entries_end, near); entry < entries_end; entry++) {
      let after = ratio[next + place_of(target_first + entries[entry].x)];
      own += mantissa_of(after) * bitcast<f32>(entries[entry].y) *
        two_to(exponent + exponent_of(after));
    }
    sum += mantissa_of(before) * own;
  }
  return add_up(thread, sum);
}

@compute @workgroup_size(WORKGROUP)
fn expected_transitions(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let turn = group.y * groups.x + group.x;
  let row = params.first_row + turn / (STATES * STATES);
  if (row >= params.end_row) {
    return;
  }
  let number = turn % (STATES * STATES);
  let pair = vec2u(number / STATES, number % STATES);
  let here = row * params.stride;
  let next = (row + row / params.tile_rows + 1u) * params.stride;
  let shift = shifts[row];
  let rows_at = tables[STATES + 1u + 2u * number];
  var sum = 0.0;
  if (rows_at == ALIKE) {
    let before = total_of(thread, false, here, pair.x);
    let after = total_of(thread, true, next, pair.y);
    sum = before.value * after.value * two_to(before.exponent + after.exponent + shift);
  } else {
    sum = through_entries(thread, here, next, shift, rows_at, pair);
  }
  if (thread == 0u) {
    expected[row * STATES * STATES + number] = sum * bitcast<f32>(tables[STATES + 2u + 2u * number]);
  }
}
