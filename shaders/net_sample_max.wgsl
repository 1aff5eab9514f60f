// The largest of every column over the detected rows of each sample, the first of equal ones; 0 where there is none.
//
// params           see Params
// starts           [tile samples + 1] u32, the row of the tile at which each sample begins
// detected         [tile rows] u32
// x                [nets, x_rows, x_stride] f32
// y                [nets, y_samples, y_stride] f32, written: where `bipolar` is 1, those of -x come after those of x
// chosen           as y, u32, written: the row of the batch, or 2^32 - 1
//
// LANES threads share a column of a sample, every LANES-th row each. Workgroups: x 64 / LANES columns, y samples, z nets. f64 twin:
// sampleMax() in test/reference/net_layers.ts.

override LANES: u32;

struct Params {
  first_row: u32,
  first_sample: u32,
  width: u32,
  bipolar: u32,
  x_stride: u32,
  x_rows: u32,
  y_stride: u32,
  y_samples: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> detected: array<u32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> chosen: array<u32>;

@compute @workgroup_size(64)
fn net_sample_max(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let columns = params.width * (1u + params.bipolar);
  let own = group.x * (64u / LANES) + lane % (64u / LANES);
  let column = min(own, columns - 1u);
  let sign = select(-1.0, 1.0, column < params.width);
  let x_at = group.z * params.x_rows * params.x_stride + column % params.width;
  let start = starts[params.first_sample + group.y] - params.first_row;
  let end = starts[params.first_sample + group.y + 1u] - params.first_row;
  let together = 64u / LANES;
  var result = 0.0;
  var place = NONE;
  for (var row = start + lane / together; row < end; row += LANES) {
    if (detected[params.first_row + row] != 0u) {
      let value = sign * x[x_at + row * params.x_stride];
      if (place == NONE || value > result) {
        result = value;
        place = row;
      }
    }
  }
  find_best(lane, together, result, place);
  if (lane < together && own < columns) {
    let at = (group.z * params.y_samples + group.y) * params.y_stride + own;
    y[at] = results[lane];
    chosen[at] = places[lane];
  }
}
