/**
 * A made-up recording: an animal that forages in a box, and place cells that fire where it is.
 *
 * @module
 */

import { Random } from "../math/random.ts";
import type { Is, OptionsOf } from "../options.ts";
import { custom, declare, number, whole } from "../options.ts";

const isSide = (value: unknown) => typeof value === "number" && value > 0;

export const simulationOptions = declare("simulate a session", {
  seed: whole({ required: true, from: 0, to: 2 ** 32 - 1, says: "seed of all that is drawn" }),
  seconds: number({ required: true, above: 0, says: "how long it lasts" }),
  /** Width and height of the box. Default 100 x 100. */
  arena: custom(
    "two lengths above 0",
    ((value) => Array.isArray(value) && value.length === 2 && value.every(isSide)) as Is<
      readonly [number, number]
    >,
    { default: [100, 100], says: "width and height of the box, cm" },
  ),
  /** Place cells. Default 60. */
  units: whole({ default: 60, from: 0, says: "place cells" }),
  /** Position samples per second. Default 60. */
  positionRate: number({ default: 60, above: 0, says: "position samples per second" }),
  /** Mean speed while the animal runs, cm/s. Default 20. */
  speed: number({ default: 20, from: 0, says: "mean speed while the animal runs, cm/s" }),
  /** Rate at a field's centre, spikes per second. Default 20. */
  peakRate: number({ default: 20, from: 0, says: "rate at a field's centre, spikes per second" }),
  /** Standard deviation of a field. Default 9. */
  fieldStd: number({ default: 9, above: 0, says: "standard deviation of a field, cm" }),
});

/** Options of {@link simulateSession}; lengths in cm, times in seconds. */
export type SimulationOptions = OptionsOf<typeof simulationOptions>;

/** A recording as {@link sortedSpikes} takes it. */
export interface SimulatedSession {
  /** `times` [samples] seconds; `values` [samples, 2] cm. */
  position: { times: Float64Array; values: Float64Array };
  /** Ascending. */
  spikes: { times: Float64Array; units: Uint32Array };
}

const BACKGROUND_RATE = 0.1;
/** How fast speed (1/s) and heading (rad per root second) wander. */
const SPEED_RELAXATION = 0.5;
const TURNING = 1.6;

/**
 * Simulates a session. Speed relaxes towards bouts of running and resting, heading wanders, walls
 * reflect; each unit has one Gaussian field and fires as a Poisson process.
 *
 * Draws are equal in every runtime; `Math.cos` and `Math.exp` may differ in their last bit.
 */
export function simulateSession(options: SimulationOptions): SimulatedSession {
  const { seed, seconds, arena, units, positionRate, speed: meanSpeed, peakRate, fieldStd } =
    simulationOptions.check(options);
  const walk = new Random(seed, 0);
  const fields = new Random(seed, 1);
  const firing = new Random(seed, 2);
  const samples = Math.round(seconds * positionRate) + 1;
  const step = 1 / positionRate;

  const times = Float64Array.from({ length: samples }, (_, i) => i * step);
  const values = new Float64Array(2 * samples);
  let [x, y] = [arena[0] / 2, arena[1] / 2];
  let heading = 2 * Math.PI * walk.uniform();
  let speed = meanSpeed;
  let running = true;
  for (let sample = 0; sample < samples; sample++) {
    values[2 * sample] = x;
    values[2 * sample + 1] = y;
    // bouts of some seven seconds of running and two of rest
    if (walk.uniform() < step / (running ? 7 : 2)) running = !running;
    const target = running ? meanSpeed : 0.5;
    speed += SPEED_RELAXATION * 4 * step * (target - speed) +
      0.3 * meanSpeed * Math.sqrt(step) * walk.normal() * (running ? 1 : 0.05);
    speed = Math.max(0, speed);
    heading += TURNING * Math.sqrt(step) * walk.normal();
    x += speed * step * Math.cos(heading);
    y += speed * step * Math.sin(heading);
    if (x < 0 || x > arena[0]) heading = Math.PI - heading;
    if (y < 0 || y > arena[1]) heading = -heading;
    x = Math.min(arena[0], Math.max(0, x));
    y = Math.min(arena[1], Math.max(0, y));
  }

  const centers = Array.from({ length: units }, () => [
    arena[0] * fields.uniform(),
    arena[1] * fields.uniform(),
  ]);
  const spikes: { time: number; unit: number }[] = [];
  for (let sample = 0; sample + 1 < samples; sample++) {
    centers.forEach(([centerX, centerY], unit) => {
      const squared = (values[2 * sample]! - centerX!) ** 2 +
        (values[2 * sample + 1]! - centerY!) ** 2;
      const rate = BACKGROUND_RATE + peakRate * Math.exp(-0.5 * squared / fieldStd ** 2);
      const count = firing.poisson(rate * step);
      for (let i = 0; i < count; i++) {
        spikes.push({ time: times[sample]! + step * firing.uniform(), unit });
      }
    });
  }
  spikes.sort((a, b) => a.time - b.time);
  return {
    position: { times, values },
    spikes: {
      times: Float64Array.from(spikes, ({ time }) => time),
      units: Uint32Array.from(spikes, ({ unit }) => unit),
    },
  };
}
