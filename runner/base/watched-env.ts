/** An environment that remembers what was asked of it. */
export interface WatchedEnv {
  env: NodeJS.ProcessEnv;
  /** The variables that were looked up; undefined once somebody has looked at all of them. */
  asked(): ReadonlySet<string> | undefined;
}

export function watchEnv(inner: NodeJS.ProcessEnv): WatchedEnv {
  const names = new Set<string>();
  let all = false;
  const note = (key: string | symbol) => {
    if (typeof key === "string") names.add(key);
  };
  const env = new Proxy(inner, {
    get(target, key) {
      note(key);
      return Reflect.get(target, key);
    },
    has(target, key) {
      note(key);
      return Reflect.has(target, key);
    },
    getOwnPropertyDescriptor(target, key) {
      note(key);
      return Reflect.getOwnPropertyDescriptor(target, key);
    },
    ownKeys(target) {
      all = true;
      return Reflect.ownKeys(target);
    },
  });
  return { env, asked: () => (all ? undefined : names) };
}
