import { isDraft } from "#client/revision.ts";
import { openWorkspace } from "#client/workspace.ts";
import { shortName, subject } from "../change-view.ts";
import { command } from "../command.ts";

export const info = command({
  meta: { description: "show where the working copy belongs, without asking the server" },
  run({ context }) {
    using workspace = openWorkspace(context.cwd);
    const { binding, current } = workspace.state;
    const { name, prefix, version, description, bookmarks, sealed, conflicted } = current;
    const draft = isDraft(current);
    const parents = current.parents.map(({ change }) => change);
    const value = {
      server: binding.server,
      repository: binding.repository,
      root: workspace.root,
      change: { name, prefix, version, description, parents, bookmarks, sealed, conflicted, draft },
    };
    context.print(value, (style) => {
      const state = draft ? "draft" : `version ${version}`;
      return [
        `repository ${binding.repository} on ${binding.server}`,
        `directory  ${workspace.root}`,
        `change     ${shortName(current, style)} (${state}) ${subject(description, style)}`,
        ...(conflicted ? [`conflicts  ${style.red("yes")}: pogo resolve --list`] : []),
      ].join("\n");
    });
  },
});
