// Rows of a value that go to another place: those of a part of a batch, which come to lie among all others, or are taken from there.
//
// params           quads to copy, and at which quad they begin in both
// source, copied   quads; `copied` is written
//
// Workgroups: x 64 quads.

struct Params {
  quads: u32,
  from_at: u32,
  to_at: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> copied: array<vec4f>;

@compute @workgroup_size(64)
fn net_copy_rows(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  for (var i = group.x * 64u + lane; i < params.quads; i += groups.x * 64u) {
    copied[params.to_at + i] = source[params.from_at + i];
  }
}
