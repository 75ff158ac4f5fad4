// Types of elements and events for the page's modules. They are global, so that a module names them without an import.

type AttributeName =
  | "accept"
  | "alt"
  | "autocomplete"
  | "autofocus"
  | "autoplay"
  | "checked"
  | "class"
  | "controls"
  | "dir"
  | "disabled"
  | "disablepictureinpicture"
  | "download"
  | "draggable"
  | "for"
  | "height"
  | "hidden"
  | "href"
  | "id"
  | "indeterminate"
  | "inputmode"
  | "label"
  | "lang"
  | "loop"
  | "max"
  | "maxlength"
  | "min"
  | "multiple"
  | "name"
  | "novalidate"
  | "placeholder"
  | "playsinline"
  | "poster"
  | "preload"
  | "readonly"
  | "required"
  | "role"
  | "scope"
  | "selected"
  | "spellcheck"
  | "src"
  | "step"
  | "tabindex"
  | "title"
  | "type"
  | "value"
  | "width";

declare global {
  /** What `h` appends; it skips what is nothing, and follows the signals that a function reads. */
  type Child = Node | string | null | undefined | false;
  type Children = Child | (() => Children) | (Child | (() => Children))[];

  /** A value, or a function that follows the signals that it reads. */
  type Follows<T> = T | (() => T | undefined);

  /** The attributes and handlers of `h`. ARIA's states have no boolean form: "false" is not the same as none. */
  type Props<E extends Element> = { [N in AttributeName]?: Follows<string | number | boolean | null> } & {
    [N in `aria-${string}` | `data-${string}`]?: Follows<string | null>;
  } & {
    [N in keyof HTMLElementEventMap as `on${N}`]?: (event: HTMLElementEventMap[N] & { currentTarget: E }) => unknown;
  };

  interface WindowEventMap {
    /** The event stream was opened (true) or lost (false). */
    connection: CustomEvent<boolean>;
    /** Another language was chosen; the page loads again. */
    language: Event;
    /** A view was opened; its address. */
    routed: CustomEvent<string>;
    "signed-out": Event;
    theme: Event;
  }
}

export {};
