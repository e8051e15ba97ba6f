// Made by `skitai client` of the routes. Make it again instead of changing it.

/** What can be asked, by method and rule. */
export interface Api {
  /**
   * Get a token
   * It is good for an hour.
   */
  "POST /tokens": {
    args: {
      client: string;
      secret: string;
    };
    returns: {
      token: string;
      /** Seconds since 1970 */
      expires: number;
    };
  };
  /** End the token in use */
  "DELETE /tokens": {
    args: {
      [name: string]: unknown;
    };
    returns: {
      ended: boolean;
    };
  };
  /** Find books */
  "GET /books": {
    args: {
      /** A part of the name */
      author?: string;
      limit?: number;
      offset?: number;
    };
    returns: {
      books: {
        /** Given by the shop */
        id: number;
        title: string;
        author: string;
        year?: number;
      }[];
      total: number;
    };
  };
  /** One book */
  "GET /books/<int:id>": {
    args: {
      id: number;
      [name: string]: unknown;
    };
    returns: {
      /** Given by the shop */
      id: number;
      title: string;
      author: string;
      year?: number;
    };
  };
  /** Add a book */
  "POST /books": {
    args: {
      title: string;
      author: string;
      year?: number;
    };
    returns: {
      /** Given by the shop */
      id: number;
      title: string;
      author: string;
      year?: number;
    };
  };
  /** Remove a book */
  "DELETE /books/<int:id>": {
    args: {
      id: number;
      [name: string]: unknown;
    };
    returns: {
      removed: boolean;
    };
  };
}
