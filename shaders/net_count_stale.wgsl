// Counts validations since a net was best, and freezes it when there were `patience` of them.
//
// params           nets, patience
// progress         [nets, 8] u32, see shared/progress.wgsl
//
// A thread a net. f64 twin: test/net/keep_best_test.ts.

struct Params {
  nets: u32,
  patience: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> progress: array<u32>;

@compute @workgroup_size(64)
fn net_count_stale(@builtin(global_invocation_id) id: vec3u) {
  let net = id.x;
  if (net >= params.nets || is_frozen(net)) {
    return;
  }
  let at = 8u * net;
  progress[at + 4u] += 1u;
  if (is_better(net)) {
    progress[at + 2u] = bitcast<u32>(validation_loss(net));
    progress[at + 3u] = 0u;
    progress[at + 5u] = progress[at + 4u];
    return;
  }
  progress[at + 3u] += 1u;
  if (progress[at + 3u] >= params.patience) {
    progress[at + 6u] = 1u;
  }
}
