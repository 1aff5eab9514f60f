// Copies the parameters of every net whose validation loss is the lowest so far; net_count_stale.wgsl comes after it.
//
// params           quads of a net's parameters
// progress         [nets, 8] u32, see shared/progress.wgsl
// parameters, best [nets, length] quads; the latter is written
//
// Workgroups: x 64 quads, y nets. f64 twin: test/net/keep_best_test.ts.

struct Params {
  length: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> progress: array<u32>;
@group(0) @binding(2) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> best: array<vec4f>;

@compute @workgroup_size(64)
fn net_keep_best(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let net = group.y;
  if (is_frozen(net) || !is_better(net)) {
    return;
  }
  for (var i = group.x * 64u + lane; i < params.length; i += groups.x * 64u) {
    best[net * params.length + i] = parameters[net * params.length + i];
  }
}
