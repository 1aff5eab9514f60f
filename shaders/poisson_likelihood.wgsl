// Poisson likelihood of sparse spikes, one workgroup a row.
//
//   log-likelihood = sum over the row's spikes of log rate(unit, bin) - sum over units of rate(bin)
//
// Logarithms are to base 2, in integers of 2^-24: a row of 1,650 spikes then adds up without an error, where
// f32 errs by 1e-3, and the whole part is the exponent. Log rates come centred (their maximum over bins is
// 0 for every unit, and so for the silence term); the host adds the constants back in f64.
//
// params           rows [first_row, end_row) of the tile
// spike_starts     [rows + 1] u32, first spike of each row in spike_units; the top bit is set in rows that
//                  say nothing, whose likelihood is 1 everywhere
// spike_units      [spikes] u32
// log_rates        [units, CELLS] vec4<i32> in 2^-24, at most 0, base 2
// silence          [CELLS, 2] vec4<i32>, minus the summed rate over ln 2, centred: whole part, then what
//                  is above it in 2^-24; OUTSIDE and 0 outside the interior
// likelihood       [rows, CELLS] vec4<u32> of wide.wgsl, written: exp(log-likelihood - row maximum)
// row_maximum      [rows] vec2<i32>, written, of the centred log-likelihood: whole part and 2^-24
//
// f64 twin: test/reference/poisson_likelihood.ts.

override WORKGROUP: u32;
override CELLS: u32;

struct Params {
  first_row: u32,
  end_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> spike_starts: array<u32>;
@group(0) @binding(2) var<storage, read> spike_units: array<u32>;
@group(0) @binding(3) var<storage, read> log_rates: array<vec4i>;
@group(0) @binding(4) var<storage, read> silence: array<vec4i>;
@group(0) @binding(5) var<storage, read_write> likelihood: array<vec4u>;
@group(0) @binding(6) var<storage, read_write> row_maximum: array<vec2i>;

fn sums_of(cell: u32, first_spike: u32, end_spike: u32) -> Sums {
  var sums = Sums(silence[2u * cell], silence[2u * cell + 1u]);
  for (var spike = first_spike; spike < end_spike; spike++) {
    let rate = log_rates[spike_units[spike] * CELLS + cell];
    sums.whole += rate >> vec4u(24u);
    sums.fraction += rate & vec4i(FRACTION);
    if ((spike - first_spike) % CARRY == CARRY - 1u) {
      sums = carried(sums);
    }
  }
  return carried(sums);
}

@compute @workgroup_size(WORKGROUP)
fn poisson_likelihood(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  // more rows than one dispatch dimension takes are folded into two
  let row = params.first_row + group.y * groups.x + group.x;
  if (row >= params.end_row) {
    return;
  }
  let silent = spike_starts[row] >= SILENT;
  let first_spike = spike_starts[row] & ~SILENT;
  let end_spike = spike_starts[row + 1u] & ~SILENT;
  let out = row * CELLS;

  let highest = highest_sum(lane, first_spike, end_spike);
  if (lane == 0u) {
    row_maximum[row] = select(highest, vec2i(), silent);
  }
  let even = bitcast<vec4u>(vec4f(1.2676506e30));
  var deep = vec4<bool>();
  for (var cell = lane; cell < CELLS; cell += WORKGROUP) {
    let power = power_at(cell, first_spike, end_spike, highest);
    let inside = silence[2u * cell] > vec4i(OUTSIDE);
    deep = deep | ((power.exponent < vec4i(-127)) & inside);
    let near = bitcast<vec4u>(power.mantissa) + (vec4u(power.exponent + 100) << vec4u(23u));
    likelihood[out + cell] = select(vec4u(), select(near, even, vec4<bool>(silent)), inside);
  }
  let deep_cells = select(0u, CELLS, any(deep) && !silent);
  for (var cell = lane; cell < deep_cells; cell += WORKGROUP) {
    let power = power_at(cell, first_spike, end_spike, highest);
    let inside = silence[2u * cell] > vec4i(OUTSIDE);
    likelihood[out + cell] = select(vec4u(), wide_of(power.mantissa, power.exponent), inside);
  }
}
