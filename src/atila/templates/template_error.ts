/**
 * The error of a page that could not be rendered.
 *
 * @module
 */

/** Where in a template something went wrong. */
export interface TemplatePlace {
  /** Name of the template that holds the place; not always the one that was asked for. */
  readonly template: string;
  /** Line from 1; 0 when it is not known. */
  readonly line: number;
}

/**
 * A template that is missing, cannot be parsed, or failed while it ran. An `HttpError` thrown
 * inside a template is not wrapped in one: it ends the request with its status.
 */
export class TemplateError extends Error {
  /** Stable code for programs. */
  readonly code = "TEMPLATE";
  /** Name of the template that failed. */
  readonly template: string;
  /** Line in it, from 1; 0 when it is not known. */
  readonly line: number;

  /** Makes the error; template and line lead the message. */
  constructor(problem: string, place: TemplatePlace, options?: ErrorOptions) {
    const { template, line } = place;
    super(`Template ${template}${line > 0 ? `, line ${line}` : ""}: ${problem}`, options);
    this.name = "TemplateError";
    this.template = template;
    this.line = line;
  }
}
