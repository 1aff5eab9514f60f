// Forward filter of a hidden Markov model: one workgroup walks through time.
//
//   q = predicted * likelihood, c = sum q, filtered = q / c, predicted' = filtered @ T
//   where c is 0 the row is impossible: filtered = predicted
//
// Probabilities are wide numbers (wide.wgsl): no bin's is lost beside larger ones. T is kept as an operator
// over S discrete states that share one grid:
//   random walk: scale each bin by 1 / its masked row sum, convolve, mask  (JOBS convolutions)
//   uniform:     a weight times the sum over a state                        (rank 1)
//   identity:    a weight times the bin itself
// It is linear, and applied to one level of filtered after the other; nearly all rows have one.
//
// A cell is 4 neighbouring bins along y, of which at least one is interior; lanes of a cell outside
// the interior hold 0 throughout.
//
// One workgroup a lane: stretches of time go side by side, each with rows of its own in every buffer.
//
// params           rows [first_row, end_row) of each lane; tile_rows, from one lane to the next;
//                  strides of predicted in vec4, from row to row (0: one row, in place) and from lane
//                  to lane; LIKELIHOODS of a row, and which each state has, in 4 bits
// transition       sizes of the grid, taps and weights, linear probabilities
// grid_table       [CELLS] padded index of each cell, then the group tables of random_walk.wgsl
// row_scale        [JOBS, CELLS] vec4<f32>, 1 / masked row sum, 0 outside the interior
// likelihood       [lanes, tile_rows, LIKELIHOODS, CELLS] vec4<u32>, wide: exp(log-likelihood - row
//                  maximum)
// predicted        [lanes, tile_rows + 1, S, CELLS] vec4<u32>, wide; row r in, row r + 1 out
// filtered         [lanes, tile_rows, S, CELLS] vec4<u32>, wide, written
// filter_sums      [lanes, tile_rows, 2 + S] f32, written: a shift and a quotient, c = 2^shift / quotient
//                  with the quotient as it was used, 0 where c is 0; then the filtered probability of
//                  each state
// field            scratch of random_walk.wgsl
//
// Threads own cells (thread, thread + WORKGROUP, ...), so only the convolutions and the reductions need
// barriers. f64 twin: test/reference/hmm_filter.ts.

// overrides stand here rather than in random_walk.wgsl: naga 29 fails on one used before its line
override WORKGROUP: u32;
override STATES: u32;
override JOBS: u32;
override GROUP_ROWS: u32;
// 1 where some weight is of the identity
override STAYS: u32;

struct Params {
  first_row: u32,
  end_row: u32,
  tile_rows: u32,
  predicted_stride: u32,
  predicted_lane_stride: u32,
  likelihoods: u32,
  likelihood_of: u32,
}

// times 2^100, what a weight may be in f32: sums then have quotients in f32
const LEAST_WEIGHT: f32 = 5.9604645e-8;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> transition: Transition;
@group(0) @binding(2) var<storage, read> grid_table: array<u32>;
@group(0) @binding(3) var<storage, read> row_scale: array<vec4f>;
@group(0) @binding(4) var<storage, read> likelihood: array<vec4u>;
@group(0) @binding(5) var<storage, read_write> predicted: array<vec4u>;
@group(0) @binding(6) var<storage, read_write> filtered: array<vec4u>;
@group(0) @binding(7) var<storage, read_write> filter_sums: array<f32>;
@group(0) @binding(8) var<storage, read_write> field: array<vec4f>;

// Where the likelihoods of a state begin, in those of a row.
fn likelihood_start(state: u32) -> u32 {
  return ((params.likelihood_of >> (4u * state)) & 15u) * transition.cells;
}

// Weighs a row in f32, all of whose weights have to be near 1 for that: nearly every row. Returns whether they
// are; weigh_wide() takes the others.
fn weigh(thread: u32, here: u32, row_cells: u32, out: u32) -> bool {
  var deep = vec4<bool>();
  for (var state = 0u; state < STATES; state++) {
    let base = state * transition.cells;
    let seen = row_cells + likelihood_start(state);
    for (var own = thread; own < SUMS; own += WORKGROUP) {
      var sum = 0.0;
      for (var cell = own; cell < transition.cells; cell += SUMS) {
        let before = predicted[here + base + cell];
        let weight = half_scaled(before) * half_scaled(likelihood[seen + cell]);
        deep = deep | ((weight < vec4f(LEAST_WEIGHT)) & (before != vec4u()));
        filtered[out + base + cell] = bitcast<vec4u>(weight);
        sum += dot(weight, vec4f(1.0));
      }
      partial[state * SUMS + own] = sum;
    }
  }
  return reduce_near(thread, any(deep), -100);
}

// Exponents of predicted times likelihood, and of predicted alone.
fn find_exponents(thread: u32, here: u32, row_cells: u32) {
  for (var state = 0u; state < STATES; state++) {
    let seen = row_cells + likelihood_start(state);
    var joint = WIDE_ZERO;
    var alone = WIDE_ZERO;
    for (var bin = 4u * thread; bin < 4u * transition.cells; bin = next_bin(bin)) {
      let before = exponent_of(predicted[here + state * transition.cells + bin / 4u][bin % 4u]);
      joint = max(joint, before + exponent_of(likelihood[seen + bin / 4u][bin % 4u]));
      alone = max(alone, before);
    }
    exponents[state * WORKGROUP + thread] = joint;
    other_exponents[state * WORKGROUP + thread] = alone;
  }
}

// Weighs a row, however deep its weights lie, by predicted alone where it is impossible; returns the number
// of levels.
fn weigh_wide(
  thread: u32,
  here: u32,
  row_cells: u32,
  out: u32,
  shift: i32,
  possible: bool,
) -> u32 {
  var deepest = 0u;
  for (var state = 0u; state < STATES; state++) {
    let base = state * transition.cells;
    let seen = row_cells + likelihood_start(state);
    for (var own = thread; own < SUMS; own += WORKGROUP) {
      var sum = 0.0;
      // whole cells: a thread owns them in what follows
      for (var bin = 4u * own; bin < 4u * transition.cells; bin = next_summed(bin)) {
        let before = predicted[here + base + bin / 4u][bin % 4u];
        let data = select(WIDE_ONE, likelihood[seen + bin / 4u][bin % 4u], possible);
        let weight = mantissa_of(before) * mantissa_of(data);
        let exponent = exponent_of(before) + exponent_of(data);
        let wide = number_of(weight, exponent - shift);
        filtered[out + base + bin / 4u][bin % 4u] = wide;
        deepest = max(deepest, level_of(wide));
        sum += weight * two_to(exponent - max(shifts[state], WIDE_LEAST));
      }
      partial[state * SUMS + own] = sum;
    }
  }
  depths[thread] = deepest;
  return reduce_wide(thread);
}

@compute @workgroup_size(WORKGROUP)
fn hmm_filter(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let lane = group.x;
  field_start = lane * 3u * JOBS * transition.padded;
  for (var row = params.first_row; row < params.end_row; row++) {
    let here = lane * params.predicted_lane_stride + row * params.predicted_stride;
    let next = here + params.predicted_stride;
    let tile_row = lane * params.tile_rows + row;
    let row_cells = tile_row * params.likelihoods * transition.cells;
    let out = tile_row * STATES * transition.cells;

    var possible = true;
    // of the weights in filtered, which are f32 times 2^100 where all are near, and wide where not
    var shift = 0;
    var levels = 1u;
    let near = weigh(thread, here, row_cells, out);
    for (var deep = !near; deep; deep = false) {
      find_exponents(thread, here, row_cells);
      shift = reduce_exponents();
      possible = shift > WIDE_LEAST;
      if (!possible) {
        shift = reduce_other_exponents();
      }
      levels = weigh_wide(thread, here, row_cells, out, shift, possible);
    }
    let inverse = 1.0 / total_of_states(shift);
    if (thread == 0u) {
      let sums = tile_row * (2u + STATES);
      filter_sums[sums] = select(0.0, f32(shift), possible);
      filter_sums[sums + 1u] = select(0.0, inverse, possible);
      for (var state = 0u; state < STATES; state++) {
        filter_sums[sums + 2u + state] = state_share(state, shift) * inverse;
      }
    }

    // near weights are divided on the way
    let factor = select(inverse, 1.0, near);
    for (var level = 0u; level < levels; level++) {
      let near_cells = select(0u, transition.cells, level == 0u);
      let deep_cells = transition.cells - near_cells;
      for (var cell = thread; cell < near_cells; cell += WORKGROUP) {
        var value = vec4f();
        for (var state = 0u; state < STATES; state++) {
          let at = out + state * transition.cells + cell;
          value = near_value(filtered[at]);
          if (near) {
            value *= inverse;
            filtered[at] = bitcast<vec4u>(value);
          }
        }
        let place = place_of(cell);
        for (var job = 0u; job < JOBS; job++) {
          var source = transition.weights[job * MAX_STATES].x * value;
          if (STATES > 1u) {
            source = vec4f();
            for (var state = 0u; state < STATES; state++) {
              source += transition.weights[job * MAX_STATES + state].x *
                near_value(filtered[out + state * transition.cells + cell]);
            }
          }
          field[source_at(job) + place] = source * row_scale[job * transition.cells + cell];
        }
      }
      for (var bin = 4u * thread; bin < 4u * deep_cells; bin = next_bin(bin)) {
        for (var job = 0u; job < JOBS; job++) {
          var source = 0.0;
          for (var state = 0u; state < STATES; state++) {
            let weight = filtered[out + state * transition.cells + bin / 4u][bin % 4u];
            source += transition.weights[job * MAX_STATES + state].x * value_at_level(weight, level);
          }
          let scale = row_scale[job * transition.cells + bin / 4u][bin % 4u];
          field[source_at(job) + place_of(bin / 4u)][bin % 4u] = source * scale;
        }
      }
      convolve_all(thread);

      find_level_totals(shift, level, near);
      for (var to = 0u; to < STATES; to++) {
        var spread = 0.0;
        for (var state = 0u; state < STATES; state++) {
          spread += transition.weights[state * MAX_STATES + to].z * level_totals[state];
        }
        spread *= inverse;
        let base = next + to * transition.cells;
        var small = vec4<bool>();
        for (var cell = thread; cell < near_cells; cell += WORKGROUP) {
          var sum = vec4f();
          let place = place_of(cell);
          for (var job = 0u; job < JOBS; job++) {
            sum += transition.weights[job * MAX_STATES + to].y * field[result_at(job) + place];
          }
          if (STAYS == 1u) {
            for (var state = 0u; state < STATES; state++) {
              sum += transition.weights[state * MAX_STATES + to].w *
                near_value(filtered[out + state * transition.cells + cell]);
            }
          }
          let value = select(vec4f(), sum * factor + spread, inside_of(cell));
          small = small | is_small(value);
          predicted[base + cell] = bitcast<vec4u>(value);
        }
        let small_bins = select(0u, 4u * near_cells, any(small));
        for (var bin = 4u * thread; bin < small_bins; bin = next_bin(bin)) {
          let value = bitcast<f32>(predicted[base + bin / 4u][bin % 4u]);
          predicted[base + bin / 4u][bin % 4u] = number_of(value, -100);
        }
        for (var bin = 4u * thread; bin < 4u * deep_cells; bin = next_bin(bin)) {
          var sum = 0.0;
          for (var job = 0u; job < JOBS; job++) {
            sum += transition.weights[job * MAX_STATES + to].y *
              field[result_at(job) + place_of(bin / 4u)][bin % 4u];
          }
          for (var state = 0u; state < STATES; state++) {
            let weight = filtered[out + state * transition.cells + bin / 4u][bin % 4u];
            sum += transition.weights[state * MAX_STATES + to].w * value_at_level(weight, level);
          }
          let inside = row_scale[bin / 4u][bin % 4u] > 0.0;
          let value = select(0.0, sum * inverse + spread, inside);
          let wide = number_of(value, -100 - 128 * i32(level));
          predicted[base + bin / 4u][bin % 4u] = sum_of(predicted[base + bin / 4u][bin % 4u], wide);
        }
      }
    }
    for (var state = 0u; state < STATES; state++) {
      let bins = select(4u * transition.cells, 0u, near);
      for (var bin = 4u * thread; bin < bins; bin = next_bin(bin)) {
        let weight = filtered[out + state * transition.cells + bin / 4u][bin % 4u];
        let wide = number_of(mantissa_of(weight) * inverse, exponent_of(weight));
        filtered[out + state * transition.cells + bin / 4u][bin % 4u] = wide;
      }
    }
  }
}
