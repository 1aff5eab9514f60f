// The ceiling of memory: a copy, a vec4 a thread.
//
// original, copied    [cells] vec4<f32>

override WORKGROUP: u32;

@group(0) @binding(0) var<storage, read> original: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> copied: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn copy_cells(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) thread: u32,
) {
  let cell = (group.y * groups.x + group.x) * WORKGROUP + thread;
  copied[cell] = original[cell];
}
