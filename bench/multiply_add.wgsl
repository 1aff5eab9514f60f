// The ceiling of arithmetic: 8 independent chains of multiply-adds a thread, in registers.
//
// params    iterations
// values    [threads] vec4<f32>, in and out

override WORKGROUP: u32;

@group(0) @binding(0) var<uniform> params: vec4u;
@group(0) @binding(1) var<storage, read_write> values: array<vec4f>;

@compute @workgroup_size(WORKGROUP)
fn multiply_add(@builtin(global_invocation_id) id: vec3u) {
  let start = values[id.x];
  let scale = vec4f(0.999);
  let shift = vec4f(0.001);
  var a = start;
  var b = start + 1.0;
  var c = start + 2.0;
  var d = start + 3.0;
  var e = start + 4.0;
  var f = start + 5.0;
  var g = start + 6.0;
  var h = start + 7.0;
  for (var i = 0u; i < params.x; i++) {
    a = a * scale + shift;
    b = b * scale + shift;
    c = c * scale + shift;
    d = d * scale + shift;
    e = e * scale + shift;
    f = f * scale + shift;
    g = g * scale + shift;
    h = h * scale + shift;
  }
  values[id.x] = a + b + c + d + e + f + g + h;
}
