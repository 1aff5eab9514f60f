/** Projections and second moments, beside the peers. */

import { Moments } from "../../src/decompose/moments.ts";
import * as moments from "../../src/kernels/second_moments.ts";
import * as project from "../../src/kernels/project_rows.ts";
import { toPanels } from "../../src/math/panels.ts";
import type { Jax, JaxArray, PeerCase, Tf } from "./case.ts";
import { jaxArray, openChain, relative, some, tensorRun } from "./case.ts";

export function projectionCase(rows: number, features: number, vectors: number): PeerCase {
  const [points, axes] = [some(rows * features), some(vectors * features)];
  return {
    name: "projection",
    shape: `${vectors} vectors x ${features} features, ${rows} rows`,
    flops: 2 * rows * features * vectors,
    arrays: { points, vectors: axes },
    sizes: { points: [rows, features], vectors: [vectors, features] },
    tolerance: 1e-5,
    difference: relative,
    async ours(gpu) {
      const run = await openChain(
        gpu,
        [{
          spec: project.projectRows,
          constants: project.projectRowsConstants(features, rows),
          workgroups: project.projectRowsWorkgroups(rows, vectors),
        }],
        {
          params: project.projectRowsParams(0, rows, 0),
          points: toPanels(points, features),
          vectors: project.packVectors(axes, features),
          projected: project.projectedBytes(rows, vectors),
        },
        "projected",
      );
      const own = project.projectedRows(rows);
      return async () => {
        const projected = new Float32Array(await run());
        const all = new Float32Array(rows * vectors);
        for (let vector = 0; vector < vectors; vector++) {
          for (let row = 0; row < rows; row++) {
            all[row * vectors + vector] = projected[vector * own + row]!;
          }
        }
        return all;
      };
    },
    jax: {
      "": (library) => {
        const jax = library as Jax;
        const { numpy } = jax;
        const [x, v] = [
          jaxArray(jax, points, [rows, features]),
          jaxArray(jax, axes, [vectors, features]),
        ];
        const run = jax.jit((x: JaxArray, v: JaxArray) => numpy.matmul(x, numpy.transpose(v)));
        return () => run(x.ref, v.ref).data();
      },
    },
    tfjs: (library) => {
      const tf = library as Tf;
      const [x, v] = [
        tf.tensor2d(points, [rows, features]),
        tf.tensor2d(axes, [vectors, features]),
      ];
      return tensorRun(tf, () => tf.matMul(x, v, false, true));
    },
  };
}

export function covarianceCase(rows: number, features: number): PeerCase {
  const points = some(rows * features);
  return {
    name: "covariance",
    shape: `${features} features, ${rows} rows`,
    // on and above the diagonal: peers do both halves
    flops: rows * features * (features + 1),
    arrays: { points },
    sizes: { points: [rows, features] },
    tolerance: 1e-5,
    difference: relative,
    async ours(gpu) {
      const shape = { features, blockRows: moments.momentBlockRows(features), tileRows: rows };
      const run = await openChain(
        gpu,
        [{
          spec: moments.secondMoments,
          constants: moments.secondMomentsConstants(shape),
          workgroups: moments.secondMomentsWorkgroups(rows, shape),
        }],
        {
          params: moments.secondMomentsParams(shape, 0, rows, 0, moments.PART.whole),
          rows: points,
          starts: 4,
          grains: moments.momentGrains(new Float32Array(features).fill(1), shape),
          moments: moments.momentBytes(shape),
        },
        "moments",
      );
      const elements = moments.momentElements(features);
      const blocks = Math.ceil(rows / shape.blockRows);
      return async () => {
        const partial = new Float32Array(await run());
        const all = new Float64Array(elements);
        for (let block = 0; block < blocks; block++) {
          for (let i = 0; i < elements; i++) all[i]! += partial[block * elements + i]!;
        }
        const matrix = new Float64Array(features * features);
        moments.forEachSquare(features, (at, row, column) => {
          for (let i = row; i < Math.min(features, row + moments.SQUARE); i++) {
            for (
              let j = Math.max(i, column);
              j < Math.min(features, column + moments.SQUARE);
              j++
            ) {
              const value = all[at + (i - row) * moments.SQUARE + j - column]!;
              matrix[i * features + j] = matrix[j * features + i] = value;
            }
          }
        });
        return matrix;
      };
    },
    jax: {
      "": (library) => {
        const jax = library as Jax;
        const { numpy } = jax;
        const x = jaxArray(jax, points, [rows, features]);
        const run = jax.jit((x: JaxArray) => numpy.matmul(numpy.transpose(x.ref), x));
        return () => run(x.ref).data();
      },
    },
    tfjs: (library) => {
      const tf = library as Tf;
      const x = tf.tensor2d(points, [rows, features]);
      return tensorRun(tf, () => tf.matMul(x, x, true, false));
    },
  };
}

/** Second moments of flat contexts: the peers build their rows on the device, ours are products by lag. */
export function flatCase(rows: number, features: number, width: number): PeerCase {
  const frames = rows + width - 1;
  const size = width * features;
  const table = some(frames * features);
  const places = Int32Array.from(
    { length: rows * width },
    (_, i) => Math.floor(i / width) + i % width,
  );
  return {
    name: "flat contexts",
    shape: `${width} x ${features} features, ${rows} rows`,
    // by lags; peers multiply all of a row with all of it
    flops: rows * features * (features + 1 + 2 * features * (width - 1)),
    arrays: { frames: table, rows: places },
    sizes: { frames: [frames, features], rows: [rows, width] },
    tolerance: 1e-5,
    difference: relative,
    async ours(gpu) {
      const blockRows = moments.momentBlockRows(features, width);
      const shape = { features, lags: width, blockRows, tileRows: rows };
      const run = await openChain(
        gpu,
        [{
          spec: moments.secondMoments,
          constants: moments.secondMomentsConstants(shape),
          workgroups: moments.secondMomentsWorkgroups(rows, shape),
        }],
        {
          params: moments.secondMomentsParams(shape, 0, rows, 0, moments.PART.whole),
          rows: table,
          starts: Uint32Array.from({ length: rows }, (_, row) => row),
          grains: moments.momentGrains(new Float32Array(features).fill(1), shape),
          moments: moments.momentBytes(shape),
        },
        "moments",
      );
      const elements = moments.momentElements(features, width);
      /** Moments of the width - 1 frames from one on; features are whole squares here. */
      const endAt = (frame: number) => {
        const end = table.subarray(frame * features, (frame + width - 1) * features);
        const block = new Float32Array(moments.momentElements(end.length));
        moments.forEachSquare(end.length, (at, row, column) => {
          for (let i = 0; i < moments.SQUARE ** 2; i++) {
            block[at + i] = end[row + Math.floor(i / moments.SQUARE)]! *
              end[column + i % moments.SQUARE]!;
          }
        });
        return block;
      };
      return async () => {
        const partial = new Float32Array(await run());
        const all = new Moments(features, width);
        for (let at = 0; at < Math.ceil(rows / blockRows) * elements; at += elements) {
          all.add(partial.subarray(at, at + elements));
        }
        all.addEnds(endAt(0), -1);
        all.addEnds(endAt(rows), 1);
        all.addUp();
        return all.toMatrix();
      };
    },
    jax: {
      "": (library) => {
        const jax = library as Jax;
        const { numpy } = jax;
        const x = jaxArray(jax, table, [frames, features]);
        const at = numpy.array(places, { shape: [rows * width], dtype: numpy.int32 });
        const run = jax.jit((x: JaxArray, at: JaxArray) => {
          const flat = numpy.take(x, at, 0).reshape([rows, size]);
          return numpy.matmul(numpy.transpose(flat.ref), flat);
        });
        return () => run(x.ref, at.ref).data();
      },
    },
    tfjs: (library) => {
      const tf = library as Tf;
      const x = tf.tensor2d(table, [frames, features]);
      const at = tf.tensor2d(places, [rows, width], "int32");
      return tensorRun(tf, () => {
        const flat = tf.reshape(tf.gather(x, at), [rows, size]);
        return tf.matMul(flat, flat, true, false);
      });
    },
  };
}
