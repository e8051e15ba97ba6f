/**
 * What is measured of what asking backends costs: databases, caches, fan-out.
 *
 * @module
 */

import type { Scenario } from "./scenarios.ts";

/** Scenarios of the backends. */
export const backendScenarios: readonly Scenario[] = [];
