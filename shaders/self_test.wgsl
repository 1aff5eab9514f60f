// Questions with known answers, asked of an adapter before it is trusted.
//
// seed     [64] u32
// answers  [130] f32: exp(-i / 8) [64], their sum by a workgroup tree [1], a quotient [1], then the
//          low 16 bits of an integer hash of seed [64]

@group(0) @binding(0) var<storage, read> seed: array<u32>;
@group(0) @binding(1) var<storage, read_write> answers: array<f32>;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn self_test(@builtin(local_invocation_index) lane: u32) {
  let value = exp(-f32(lane) / 8.0);
  answers[lane] = value;
  partial[lane] = value;
  workgroupBarrier();
  for (var width = 32u; width > 0u; width /= 2u) {
    if (lane < width) {
      partial[lane] += partial[lane + width];
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    answers[64] = partial[0];
    answers[65] = answers[0] / 3.0;
  }
  var hash = seed[lane] * 0x9e3779b9u;
  hash = (hash ^ (hash >> 15u)) * 0x85ebca6bu;
  answers[66u + lane] = f32((hash ^ (hash >> 13u)) & 0xffffu);
}
