// Draws paths from the posterior of all rows together, from the last row to the first: one workgroup walks a path.
//
//   p(bin i in row t | the path after it) ~ filtered(t)_i * T[i, the path's bin in row t + 1]
//
// params     rows [first_row, end_row) of the tile, taken from the end; samples; stride, elements of a row; seed;
//            tile_start, the tile's first row in the recording; bins
// tables     u32: [STATES + 1] first bin of each state, then bins; [STATES, STATES] bits of an f32, p(a bin of the
//            second | the first) of pairs whose probabilities are all alike, 0 elsewhere; [bins] offset of each bin in
//            a row; [bins + 1] where the entries of each bin begin, and where they end
// entries    [entries, 2] u32, bin by bin that is led to: the bin before it, and bits of p(bin | that), f32
// filtered   [tile rows, stride] u32, wide
// weights    [samples, bins] f32, scratch
// ahead      [samples] u32, the path's bin in the row after; bins where there is none. Left as that of the first row
// drawn      [tile rows, samples] u32, written
//
// Weights of a row are f32 relative to the largest, and summed in a fixed order, bins of a thread being neighbours.
// Random numbers are those of src/math/random.ts, of 24 bits, by row and sample. f64 twin:
// test/reference/sample_paths.ts.

override WORKGROUP: u32;
override STATES: u32;

// keeps paths apart from other uses of a seed
const STREAM: u32 = 211u;

struct Params {
  first_row: u32,
  end_row: u32,
  samples: u32,
  stride: u32,
  seed: u32,
  tile_start: u32,
  bins: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tables: array<u32>;
@group(0) @binding(2) var<storage, read> entries: array<vec2u>;
@group(0) @binding(3) var<storage, read> filtered: array<u32>;
@group(0) @binding(4) var<storage, read_write> weights: array<f32>;
@group(0) @binding(5) var<storage, read_write> ahead: array<u32>;
@group(0) @binding(6) var<storage, read_write> drawn: array<u32>;

fn alike(from_state: u32, to_state: u32) -> f32 {
  return bitcast<f32>(tables[STATES + 1u + from_state * STATES + to_state]);
}

fn place_of(bin: u32) -> u32 {
  return tables[STATES + 1u + STATES * STATES + bin];
}

// Where the entries of a bin begin; of all bins, where they end.
fn entries_of(bin: u32) -> u32 {
  return tables[STATES + 1u + STATES * STATES + params.bins + bin];
}

var<workgroup> sums: array<f32, WORKGROUP>;
var<workgroup> next: u32;

fn state_of(bin: u32) -> u32 {
  var state = 0u;
  for (var other = 1u; other < STATES; other++) {
    state += select(0u, 1u, bin >= tables[other]);
  }
  return state;
}

// Largest exponent of filtered times weights, of a thread's bins.
fn exponent_of_bins(thread: u32, here: u32, own: u32) -> i32 {
  var most = WIDE_ZERO;
  for (var bin = thread; bin < params.bins; bin += WORKGROUP) {
    let weight = weights[own + bin];
    let exponent = exponent_of(filtered[here + place_of(bin)]) +
      i32(bitcast<u32>(weight) >> 23u) - 127;
    most = max(most, select(WIDE_ZERO, exponent, weight > 0.0));
  }
  return most;
}

@compute @workgroup_size(WORKGROUP)
fn sample_paths(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let sample = group.x;
  let own = sample * params.bins;
  let share = (params.bins + WORKGROUP - 1u) / WORKGROUP;
  if (thread == 0u) {
    next = ahead[sample];
  }
  for (var row = params.end_row; row > params.first_row; row--) {
    let here = (row - 1u) * params.stride;
    workgroupBarrier();
    let target_bin = min(next, params.bins - 1u);
    let is_last = next == params.bins;
    let target_state = state_of(target_bin);
    // the transition alone: alike for all bins of a state, or by entries
    for (var bin = thread; bin < params.bins; bin += WORKGROUP) {
      weights[own + bin] = select(alike(state_of(bin), target_state), 1.0, is_last);
    }
    storageBarrier();
    workgroupBarrier();
    let first = entries_of(target_bin);
    let end = select(entries_of(target_bin + 1u), first, is_last);
    for (var entry = first + thread; entry < end; entry += WORKGROUP) {
      weights[own + entries[entry].x] = bitcast<f32>(entries[entry].y);
    }
    storageBarrier();
    workgroupBarrier();
    let largest = largest_exponent(thread, exponent_of_bins(thread, here, own));
    let exponent = max(largest, WIDE_LEAST);
    // neighbouring bins of a thread
    var sum = 0.0;
    for (var bin = thread * share; bin < min(params.bins, (thread + 1u) * share); bin++) {
      let before = filtered[here + place_of(bin)];
      let weight = weights[own + bin];
      let bits = bitcast<u32>(weight);
      let power = exponent_of(before) + i32(bits >> 23u) - 127 - exponent;
      let mantissa = bitcast<f32>((bits & 0x7fffffu) | 0x3f800000u);
      let value = select(0.0, mantissa_of(before) * mantissa * two_to(power), weight > 0.0);
      weights[own + bin] = value;
      sum += value;
    }
    sums[thread] = sum;
    storageBarrier();
    workgroupBarrier();
    if (thread == 0u) {
      var total = 0.0;
      for (var other = 0u; other < WORKGROUP; other++) {
        total += sums[other];
      }
      let words = philox(
        vec4u(params.tile_start + row - 1u, sample, 0u, 0u),
        vec2u(params.seed, STREAM),
      );
      var rest = f32(words.x >> 8u) * 0x1p-24f * total;
      // the thread whose bins it falls among: rounding may have it past the last
      var chosen = 0u;
      for (var other = 0u; other < WORKGROUP; other++) {
        if (sums[other] > 0.0 && rest >= 0.0) {
          chosen = other;
          rest -= sums[other];
        }
      }
      rest += sums[chosen];
      var bin = chosen * share;
      var found = bin;
      for (; bin < min(params.bins, (chosen + 1u) * share); bin++) {
        let value = weights[own + bin];
        if (value > 0.0 && rest >= 0.0) {
          found = bin;
          rest -= value;
        }
      }
      next = found;
      drawn[(row - 1u) * params.samples + sample] = found;
    }
  }
  if (thread == 0u) {
    ahead[sample] = next;
  }
}
