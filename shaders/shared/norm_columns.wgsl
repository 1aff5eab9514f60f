// Where the quad of columns of a workgroup lies in what a batch norm has, in quads of f32. Appended to kernels that take x as
// [nets, x_rows, width4], gamma and what follows it in parameters, and stats as [nets, 2, width4].

struct NormColumns {
  width4: u32,
  first_row: u32,
  gamma: u32,
  mean: u32,
  inverse: u32,
}

fn norm_columns(group: vec3u) -> NormColumns {
  let quad = group.x;
  let net = group.y;
  let width4 = (params.width + 3u) / 4u;
  let mean = 2u * net * width4 + quad;
  return NormColumns(
    width4,
    net * params.x_rows * width4 + quad,
    net * params.parameters_net + params.norm_at + quad,
    mean,
    mean + width4,
  );
}
