/**
 * Exports of packages in the older form, wherever they end up.
 *
 * @module
 */

/**
 * An export of a package that was imported on use. Of a package in the older form (CommonJS) a bundler
 * may leave only the default export, which has the others as members.
 */
export function packageExport<M extends object, K extends keyof M>(module: M, name: K): M[K] {
  return module[name] ?? (module as { default?: M }).default?.[name] as M[K];
}
