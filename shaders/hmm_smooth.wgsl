// Backward smoother of a hidden Markov model: one workgroup walks back through time.
//
//   r = smoothed(t + 1) / predicted(t + 1)  (0 where either is 0)
//   smoothed(t) = filtered(t) * (T r), divided by its sum
//   last row of the recording: smoothed = filtered
//
// Wide numbers and T as in hmm_filter.wgsl, T here applied to a column: mask, convolve, scale. Mass goes from
// smoothed(t + 1) to smoothed(t) bin by bin: a bin with less than 2^-104 of it may be left behind, and r need
// not be exact there. So f32 does where the others have no r above 2^60, which is nearly everywhere.
//
// One workgroup a lane, as in hmm_filter.wgsl. A lane starts at its newest row: the one that ends the
// recording, or the one its burn-in starts from as if it did.
//
// params           rows [first_row, end_row) of each lane, taken from the end; tile_rows, from one lane
//                  to the next; first_end, lane_length: the recording ends at row
//                  first_end - lane * lane_length of a lane; burn_in_end, the row of every lane that
//                  starts a burn-in; rows outside the tile never match
// transition, grid_table, row_scale, field   as in hmm_filter.wgsl
// predicted        [lanes, tile_rows + 1, S, CELLS] vec4<u32>, wide; row t + 1 becomes T r
// filtered         [lanes, tile_rows, S, CELLS] vec4<u32>, wide; filtered in, smoothed out
// smoothed_carry   [lanes, S, CELLS] vec4<u32>, wide, smoothed row t + 1 in, smoothed row first_row out
// ratio            [lanes, S, CELLS] vec4<u32>, scratch for r: f32 in nearly every row, wide in others
// smooth_sums      [lanes, tile_rows, S] f32, written: the smoothed probability of each state
//
// f64 twin: test/reference/hmm_smooth.ts.

// overrides stand here rather than in random_walk.wgsl: naga 29 fails on one used before its line
override WORKGROUP: u32;
override STATES: u32;
override JOBS: u32;
override GROUP_ROWS: u32;
// 1 where some weight is of the identity
override STAYS: u32;

// exponent of the smallest smoothed probability that has to be followed, and what stands for it
const RELEVANT: i32 = -104;
const RELEVANT_NEAR: f32 = 0.0625;
// r above 2^60 is not summed in f32
const INVERSE_MOST_RATIO: f32 = 8.6736174e-19;

struct Params {
  first_row: u32,
  end_row: u32,
  tile_rows: u32,
  first_end: i32,
  lane_length: i32,
  burn_in_end: i32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> transition: Transition;
@group(0) @binding(2) var<storage, read> grid_table: array<u32>;
@group(0) @binding(3) var<storage, read> row_scale: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> predicted: array<vec4u>;
@group(0) @binding(5) var<storage, read_write> filtered: array<vec4u>;
@group(0) @binding(6) var<storage, read_write> smoothed_carry: array<vec4u>;
@group(0) @binding(7) var<storage, read_write> ratio: array<vec4u>;
@group(0) @binding(8) var<storage, read_write> smooth_sums: array<f32>;
@group(0) @binding(9) var<storage, read_write> field: array<vec4f>;

// r in f32. Returns whether that follows all mass; divide_wide() is for where it does not.
fn divide(thread: u32, carry: u32, next: u32) -> bool {
  var deep = vec4<bool>();
  for (var state = 0u; state < STATES; state++) {
    for (var own = thread; own < SUMS; own += WORKGROUP) {
      var sum = 0.0;
      for (var cell = own; cell < transition.cells; cell += SUMS) {
        let at = state * transition.cells + cell;
        let above = near_value(smoothed_carry[carry + at]);
        let below_wide = predicted[next + at];
        let below = near_value(below_wide);
        let large = above * INVERSE_MOST_RATIO > below;
        let usable = (below > vec4f()) & !large;
        let value = select(vec4f(), above / select(vec4f(1.0), below, usable), usable);
        deep = deep | (large & (above >= vec4f(RELEVANT_NEAR)) & (below_wide != vec4u()));
        ratio[carry + at] = bitcast<vec4u>(value);
        sum += dot(value, vec4f(1.0));
      }
      partial[state * SUMS + own] = sum;
    }
  }
  return reduce_near(thread, any(deep), 0);
}

// Exponent of r; WIDE_ZERO where either is 0.
fn ratio_exponent(above: u32, below: u32) -> i32 {
  return select(exponent_of(above) - exponent_of(below), WIDE_ZERO, above == 0u || below == 0u);
}

fn find_ratio_exponents(thread: u32, carry: u32, next: u32) {
  for (var state = 0u; state < STATES; state++) {
    var highest = WIDE_ZERO;
    for (var bin = 4u * thread; bin < 4u * transition.cells; bin = next_bin(bin)) {
      let at = state * transition.cells + bin / 4u;
      let above = smoothed_carry[carry + at][bin % 4u];
      highest = max(highest, ratio_exponent(above, predicted[next + at][bin % 4u]));
    }
    exponents[state * WORKGROUP + thread] = highest;
  }
}

// r over 2^shift; returns the number of levels.
fn divide_wide(thread: u32, carry: u32, next: u32, shift: i32) -> u32 {
  var deepest = 0u;
  for (var state = 0u; state < STATES; state++) {
    for (var own = thread; own < SUMS; own += WORKGROUP) {
      var sum = 0.0;
      for (var bin = 4u * own; bin < 4u * transition.cells; bin = next_summed(bin)) {
        let at = state * transition.cells + bin / 4u;
        let above = smoothed_carry[carry + at][bin % 4u];
        let below = predicted[next + at][bin % 4u];
        let value = mantissa_of(above) / mantissa_of(below);
        let exponent = ratio_exponent(above, below);
        let wide = number_of(value, exponent - shift);
        ratio[carry + at][bin % 4u] = wide;
        deepest = max(deepest, select(0u, level_of(wide), exponent_of(above) >= RELEVANT));
        sum += value * two_to(exponent - max(shifts[state], WIDE_LEAST));
      }
      partial[state * SUMS + own] = sum;
    }
  }
  depths[thread] = deepest;
  return reduce_wide(thread);
}

// T r, into predicted[next]. Where r is f32, times filtered, and partial_products has the
// sums of that.
fn step_back(thread: u32, here: u32, carry: u32, next: u32, shift: i32, levels: u32, near: bool) {
  for (var level = 0u; level < levels; level++) {
    let near_cells = select(0u, transition.cells, level == 0u);
    let deep_cells = transition.cells - near_cells;
    for (var cell = thread; cell < near_cells; cell += WORKGROUP) {
      for (var job = 0u; job < JOBS; job++) {
        var source = vec4f();
        for (var state = 0u; state < STATES; state++) {
          source += transition.weights[job * MAX_STATES + state].y *
            near_value(ratio[carry + state * transition.cells + cell]);
        }
        field[source_at(job) + place_of(cell)] = source;
      }
    }
    for (var bin = 4u * thread; bin < 4u * deep_cells; bin = next_bin(bin)) {
      for (var job = 0u; job < JOBS; job++) {
        var source = 0.0;
        for (var state = 0u; state < STATES; state++) {
          let value = ratio[carry + state * transition.cells + bin / 4u][bin % 4u];
          source += transition.weights[job * MAX_STATES + state].y * value_at_level(value, level);
        }
        field[source_at(job) + place_of(bin / 4u)][bin % 4u] = source;
      }
    }
    convolve_all(thread);

    find_level_totals(shift, level, near);
    for (var state = 0u; state < STATES; state++) {
      var spread = 0.0;
      for (var to = 0u; to < STATES; to++) {
        spread += transition.weights[state * MAX_STATES + to].z * level_totals[to];
      }
      let base = next + state * transition.cells;
      for (var own = thread; own < SUMS; own += WORKGROUP) {
        var weights = 0.0;
        for (var cell = own; cell < near_cells; cell += SUMS) {
          let place = place_of(cell);
          var sum = vec4f(spread);
          for (var job = 0u; job < JOBS; job++) {
            sum += transition.weights[job * MAX_STATES + state].x *
              row_scale[job * transition.cells + cell] * field[result_at(job) + place];
          }
          if (STAYS == 1u) {
            for (var to = 0u; to < STATES; to++) {
              sum += transition.weights[state * MAX_STATES + to].w *
                near_value(ratio[carry + to * transition.cells + cell]);
            }
          }
          let before = near_value(filtered[here + state * transition.cells + cell]);
          let weight = sum * select(vec4f(1.0), before, near);
          weights += dot(weight, vec4f(1.0));
          predicted[base + cell] = bitcast<vec4u>(weight);
        }
        partial_products[state * SUMS + own] = weights;
      }
      let unpacked_bins = select(4u * near_cells, 0u, near);
      for (var bin = 4u * thread; bin < unpacked_bins; bin = next_bin(bin)) {
        let value = bitcast<f32>(predicted[base + bin / 4u][bin % 4u]);
        predicted[base + bin / 4u][bin % 4u] = number_of(value, -100);
      }
      for (var bin = 4u * thread; bin < 4u * deep_cells; bin = next_bin(bin)) {
        var sum = spread;
        for (var job = 0u; job < JOBS; job++) {
          sum += transition.weights[job * MAX_STATES + state].x *
            row_scale[job * transition.cells + bin / 4u][bin % 4u] *
            field[result_at(job) + place_of(bin / 4u)][bin % 4u];
        }
        for (var to = 0u; to < STATES; to++) {
          let value = ratio[carry + to * transition.cells + bin / 4u][bin % 4u];
          sum += transition.weights[state * MAX_STATES + to].w * value_at_level(value, level);
        }
        let wide = number_of(sum, -100 - 128 * i32(level));
        predicted[base + bin / 4u][bin % 4u] = sum_of(predicted[base + bin / 4u][bin % 4u], wide);
      }
    }
  }
}

// Exponents of filtered times T r, and of filtered alone.
fn find_exponents(thread: u32, here: u32, next: u32) {
  for (var state = 0u; state < STATES; state++) {
    var joint = WIDE_ZERO;
    var alone = WIDE_ZERO;
    for (var bin = 4u * thread; bin < 4u * transition.cells; bin = next_bin(bin)) {
      let at = state * transition.cells + bin / 4u;
      let before = exponent_of(filtered[here + at][bin % 4u]);
      joint = max(joint, before + exponent_of(predicted[next + at][bin % 4u]));
      alone = max(alone, before);
    }
    exponents[state * WORKGROUP + thread] = joint;
    other_exponents[state * WORKGROUP + thread] = alone;
  }
}

// Sums filtered times T r, however deep that lies, or filtered alone.
fn weigh_wide(thread: u32, here: u32, next: u32, alone: bool) {
  for (var state = 0u; state < STATES; state++) {
    for (var own = thread; own < SUMS; own += WORKGROUP) {
      var sum = 0.0;
      for (var bin = 4u * own; bin < 4u * transition.cells; bin = next_summed(bin)) {
        let at = state * transition.cells + bin / 4u;
        let before = filtered[here + at][bin % 4u];
        let after = select(predicted[next + at][bin % 4u], WIDE_ONE, alone);
        let exponent = exponent_of(before) + exponent_of(after);
        sum += mantissa_of(before) * mantissa_of(after) *
          two_to(exponent - max(shifts[state], WIDE_LEAST));
      }
      partial_products[state * SUMS + own] = sum;
    }
  }
  add_up_products();
}

@compute @workgroup_size(WORKGROUP)
fn hmm_smooth(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let lane = group.x;
  field_start = lane * 3u * JOBS * transition.padded;
  let carry = lane * STATES * transition.cells;
  let recording_end = params.first_end - i32(lane) * params.lane_length;
  for (var row = params.end_row; row > params.first_row; row--) {
    let tile_row = lane * params.tile_rows + row - 1u;
    let here = tile_row * STATES * transition.cells;
    // a lane has one row more of predictions than of others
    let next = (tile_row + lane + 1u) * STATES * transition.cells;
    let this_row = i32(row) - 1;

    var alone = this_row == recording_end || this_row == params.burn_in_end;
    // of weights: in predicted[next], f32 times 2^100, where near
    var shift = -100;
    var near = false;
    if (!alone) {
      near = divide(thread, carry, next);
      var ratio_shift = 0;
      var levels = 1u;
      for (var deep = !near; deep; deep = false) {
        find_ratio_exponents(thread, carry, next);
        ratio_shift = reduce_exponents();
        levels = divide_wide(thread, carry, next, ratio_shift);
      }
      step_back(thread, here, carry, next, ratio_shift, levels, near);
      reduce_products(shift);
    }
    for (var deep = !near; deep; deep = false) {
      find_exponents(thread, here, next);
      shift = reduce_exponents();
      // where nothing of what comes after is left, all that is known is what came before
      alone = alone || shift < WIDE_LEAST;
      if (alone) {
        shift = reduce_other_exponents();
      }
      weigh_wide(thread, here, next, alone);
    }
    let inverse = 1.0 / total_of_states(shift);
    // times 2^100, by integers: see half_scaled()
    let factor = bitcast<f32>(bitcast<u32>(inverse) + (100u << 23u));
    for (var state = 0u; state < STATES; state++) {
      if (thread == 0u) {
        smooth_sums[tile_row * STATES + state] = state_share(state, shift) * inverse;
      }
      let base = state * transition.cells;
      let near_cells = select(0u, transition.cells, near);
      let deep_cells = transition.cells - near_cells;
      var small = vec4<bool>();
      for (var cell = thread; cell < near_cells; cell += WORKGROUP) {
        let value = bitcast<vec4f>(predicted[next + base + cell]) * factor;
        small = small | is_small(value);
        filtered[here + base + cell] = bitcast<vec4u>(value);
        smoothed_carry[carry + base + cell] = bitcast<vec4u>(value);
      }
      let small_bins = select(0u, 4u * near_cells, any(small));
      for (var bin = 4u * thread; bin < small_bins; bin = next_bin(bin)) {
        let wide = number_of(bitcast<f32>(filtered[here + base + bin / 4u][bin % 4u]), -100);
        filtered[here + base + bin / 4u][bin % 4u] = wide;
        smoothed_carry[carry + base + bin / 4u][bin % 4u] = wide;
      }
      for (var bin = 4u * thread; bin < 4u * deep_cells; bin = next_bin(bin)) {
        let before = filtered[here + base + bin / 4u][bin % 4u];
        let after = select(predicted[next + base + bin / 4u][bin % 4u], WIDE_ONE, alone);
        let weight = mantissa_of(before) * mantissa_of(after) * inverse;
        let wide = number_of(weight, exponent_of(before) + exponent_of(after) - shift);
        filtered[here + base + bin / 4u][bin % 4u] = wide;
        smoothed_carry[carry + base + bin / 4u][bin % 4u] = wide;
      }
    }
  }
}
