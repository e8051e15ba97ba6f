/**
 * What is measured of the app container: routing, hooks, sessions, templates.
 *
 * @module
 */

import type { Scenario } from "./scenarios.ts";

/** Scenarios of the app container. */
export const containerScenarios: readonly Scenario[] = [];
