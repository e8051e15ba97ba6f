// Made by `skitai client` of the routes. Make it again instead of changing it.

/** What can be asked, by method and rule. */
export interface Api {
  /** Find books */
  "GET /books": {
    args: {
      /** A part of the name */
      author?: string;
    };
    returns: {
      books: {
        /** Given by the shop */
        id: number;
        title: string;
        author: string;
        year?: number;
      }[];
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
