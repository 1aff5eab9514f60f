// Poisson likelihood of sparse spikes, one workgroup a row.
//
//   log-likelihood = sum over the row's spikes of log rate(unit, bin) - sum over units of rate(bin)
//
// Log rates come centred (their maximum over bins is 0 for every unit, and so for the silence
// term), which keeps f32 exact where it matters; the host adds the constants back in f64.
//
// params           rows [first_row, end_row) of the tile
// spike_starts     [rows + 1] u32, first spike of each row in spike_units
// spike_units      [spikes] u32
// log_rates        [units, CELLS] vec4<f32>, natural logarithm, centred
// silence          [CELLS] vec4<f32>, minus the summed rate, centred; -1e30 outside the interior
// likelihood       [rows, CELLS] vec4<f32>, written: exp(log-likelihood - row maximum)
// row_maximum      [rows] f32, written, natural logarithm, of the centred log-likelihood
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
@group(0) @binding(3) var<storage, read> log_rates: array<vec4f>;
@group(0) @binding(4) var<storage, read> silence: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> likelihood: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> row_maximum: array<f32>;

var<workgroup> partial: array<f32, WORKGROUP>;

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
  let first_spike = spike_starts[row];
  let end_spike = spike_starts[row + 1u];
  let out = row * CELLS;

  var highest = -1e30;
  for (var cell = lane; cell < CELLS; cell += WORKGROUP) {
    var sum = silence[cell];
    for (var spike = first_spike; spike < end_spike; spike++) {
      sum += log_rates[spike_units[spike] * CELLS + cell];
    }
    likelihood[out + cell] = sum;
    highest = max(highest, max(max(sum.x, sum.y), max(sum.z, sum.w)));
  }
  partial[lane] = highest;
  workgroupBarrier();
  for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
    if (lane < width) {
      partial[lane] = max(partial[lane], partial[lane + width]);
    }
    workgroupBarrier();
  }
  highest = partial[0];
  if (lane == 0u) {
    row_maximum[row] = highest;
  }
  for (var cell = lane; cell < CELLS; cell += WORKGROUP) {
    likelihood[out + cell] = exponential(likelihood[out + cell] - highest);
  }
}
