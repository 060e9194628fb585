/** The root command: a table of lazy imports, so that a command pays for nothing but itself. */
import type { Program } from "#cli/command.ts";
import { runProgram } from "#cli/shell.ts";

const program: Program = {
  name: "pogo",
  description: "Pogo is a version control system: one server, small changes, nothing ever lost.",
  sections: {
    Start: {
      init: { load: () => import("#cli/commands/init.ts").then((m) => m.init) },
      clone: { load: () => import("#cli/commands/clone.ts").then((m) => m.clone) },
    },
    Work: {
      status: {
        aliases: ["st"],
        load: () => import("#cli/commands/status.ts").then((m) => m.status),
      },
      diff: { load: () => import("#cli/commands/diff.ts").then((m) => m.diff) },
      push: { load: () => import("#cli/commands/push.ts").then((m) => m.push) },
      commit: { load: () => import("#cli/commands/commit.ts").then((m) => m.commit) },
      describe: {
        aliases: ["desc", "rephrase"],
        load: () => import("#cli/commands/describe.ts").then((m) => m.describe),
      },
      new: { load: () => import("#cli/commands/new.ts").then((m) => m.newChange) },
      edit: {
        aliases: ["checkout"],
        load: () => import("#cli/commands/edit.ts").then((m) => m.edit),
      },
      sync: { load: () => import("#cli/commands/sync.ts").then((m) => m.sync) },
      resolve: { load: () => import("#cli/commands/resolve.ts").then((m) => m.resolve) },
      discard: { load: () => import("#cli/commands/discard.ts").then((m) => m.discard) },
      restore: { load: () => import("#cli/commands/restore.ts").then((m) => m.restore) },
    },
    "Go back": {
      undo: { load: () => import("#cli/commands/undo.ts").then((m) => m.undo) },
      redo: { load: () => import("#cli/commands/redo.ts").then((m) => m.redo) },
      op: {
        description: "what was done to the repository, by whom, and how to go back to any of it",
        commands: {
          log: { load: () => import("#cli/commands/op/log.ts").then((m) => m.opLog) },
          show: { load: () => import("#cli/commands/op/show.ts").then((m) => m.opShow) },
          restore: {
            load: () => import("#cli/commands/op/restore.ts").then((m) => m.opRestore),
          },
          verify: { load: () => import("#cli/commands/op/verify.ts").then((m) => m.opVerify) },
        },
      },
    },
    Look: {
      log: { load: () => import("#cli/commands/log.ts").then((m) => m.log) },
      show: { load: () => import("#cli/commands/show.ts").then((m) => m.show) },
      evolog: { load: () => import("#cli/commands/evolog.ts").then((m) => m.evolog) },
      info: { load: () => import("#cli/commands/info.ts").then((m) => m.info) },
      cat: { load: () => import("#cli/commands/cat.ts").then((m) => m.cat) },
      ls: { load: () => import("#cli/commands/ls.ts").then((m) => m.ls) },
      archive: { load: () => import("#cli/commands/archive.ts").then((m) => m.archive) },
    },
    "Edit history": {
      rebase: { load: () => import("#cli/commands/rebase.ts").then((m) => m.rebase) },
      squash: { load: () => import("#cli/commands/squash.ts").then((m) => m.squash) },
      split: { load: () => import("#cli/commands/split.ts").then((m) => m.split) },
      revert: { load: () => import("#cli/commands/revert.ts").then((m) => m.revert) },
      duplicate: { load: () => import("#cli/commands/duplicate.ts").then((m) => m.duplicate) },
    },
    "Name and remove": {
      bookmark: {
        aliases: ["b"],
        description: "name changes",
        commands: {
          set: {
            aliases: ["s"],
            load: () => import("#cli/commands/bookmark/set.ts").then((m) => m.bookmarkSet),
          },
          list: {
            load: () => import("#cli/commands/bookmark/list.ts").then((m) => m.bookmarkList),
          },
          delete: {
            aliases: ["rm", "remove"],
            load: () => import("#cli/commands/bookmark/delete.ts").then((m) => m.bookmarkDelete),
          },
          protect: {
            load: () => import("#cli/commands/bookmark/protect.ts").then((m) => m.bookmarkProtect),
          },
          unprotect: {
            load: () =>
              import("#cli/commands/bookmark/unprotect.ts").then((m) => m.bookmarkUnprotect),
          },
          rules: {
            load: () => import("#cli/commands/bookmark/rules.ts").then((m) => m.bookmarkRules),
          },
        },
      },
      rm: {
        aliases: ["abandon"],
        load: () => import("#cli/commands/rm.ts").then((m) => m.rm),
      },
    },
    Share: {
      repo: {
        description: "list repositories, and say who may read them",
        commands: {
          list: { load: () => import("#cli/commands/repo/list.ts").then((m) => m.repoList) },
          trust: { load: () => import("#cli/commands/repo/trust.ts").then((m) => m.repoTrust) },
          trusts: { load: () => import("#cli/commands/repo/trusts.ts").then((m) => m.repoTrusts) },
          untrust: {
            load: () => import("#cli/commands/repo/untrust.ts").then((m) => m.repoUntrust),
          },
          visibility: {
            load: () => import("#cli/commands/repo/visibility.ts").then((m) => m.repoVisibility),
          },
        },
      },
      secret: {
        description: "keep what builds and webhooks need and nobody should see",
        commands: {
          set: { load: () => import("#cli/commands/secret/set.ts").then((m) => m.secretSet) },
          list: { load: () => import("#cli/commands/secret/list.ts").then((m) => m.secretList) },
          get: { load: () => import("#cli/commands/secret/get.ts").then((m) => m.secretGet) },
          rm: {
            aliases: ["delete", "remove"],
            load: () => import("#cli/commands/secret/rm.ts").then((m) => m.secretRemove),
          },
        },
      },
      member: {
        description: "say who may do what in a repository",
        commands: {
          set: { load: () => import("#cli/commands/member/set.ts").then((m) => m.memberSet) },
          list: { load: () => import("#cli/commands/member/list.ts").then((m) => m.memberList) },
          remove: {
            load: () => import("#cli/commands/member/remove.ts").then((m) => m.memberRemove),
          },
        },
      },
      group: {
        description: "give users roles together",
        commands: {
          create: {
            load: () => import("#cli/commands/group/create.ts").then((m) => m.groupCreate),
          },
          list: { load: () => import("#cli/commands/group/list.ts").then((m) => m.groupList) },
          add: { load: () => import("#cli/commands/group/add.ts").then((m) => m.groupAdd) },
          remove: {
            load: () => import("#cli/commands/group/remove.ts").then((m) => m.groupRemove),
          },
          delete: {
            load: () => import("#cli/commands/group/delete.ts").then((m) => m.groupDelete),
          },
        },
      },
      user: {
        description: "create, invite and disable users",
        commands: {
          create: { load: () => import("#cli/commands/user/create.ts").then((m) => m.userCreate) },
          invite: { load: () => import("#cli/commands/user/invite.ts").then((m) => m.userInvite) },
          list: { load: () => import("#cli/commands/user/list.ts").then((m) => m.userList) },
          disable: {
            load: () => import("#cli/commands/user/disable.ts").then((m) => m.userDisable),
          },
          enable: { load: () => import("#cli/commands/user/enable.ts").then((m) => m.userEnable) },
          promote: {
            load: () => import("#cli/commands/user/promote.ts").then((m) => m.userPromote),
          },
          demote: { load: () => import("#cli/commands/user/demote.ts").then((m) => m.userDemote) },
        },
      },
    },
    "Sign in": {
      login: { load: () => import("#cli/commands/login.ts").then((m) => m.login) },
      logout: { load: () => import("#cli/commands/logout.ts").then((m) => m.logout) },
      whoami: { load: () => import("#cli/commands/whoami.ts").then((m) => m.whoami) },
      token: {
        description: "create, list and revoke tokens",
        commands: {
          create: {
            load: () => import("#cli/commands/token/create.ts").then((m) => m.tokenCreate),
          },
          list: {
            aliases: ["l", "ls"],
            load: () => import("#cli/commands/token/list.ts").then((m) => m.tokenList),
          },
          exchange: {
            load: () => import("#cli/commands/token/exchange.ts").then((m) => m.tokenExchange),
          },
          revoke: {
            load: () => import("#cli/commands/token/revoke.ts").then((m) => m.tokenRevoke),
          },
        },
      },
    },
    Server: {
      admin: {
        description: "look after a server",
        commands: {
          audit: { load: () => import("#cli/commands/admin/audit.ts").then((m) => m.adminAudit) },
          du: { load: () => import("#cli/commands/admin/du.ts").then((m) => m.adminDu) },
          obliterate: {
            load: () => import("#cli/commands/admin/obliterate.ts").then((m) => m.adminObliterate),
          },
          quota: { load: () => import("#cli/commands/admin/quota.ts").then((m) => m.adminQuota) },
          rebalance: {
            load: () => import("#cli/commands/admin/rebalance.ts").then((m) => m.adminRebalance),
          },
          restore: {
            load: () => import("#cli/commands/admin/restore.ts").then((m) => m.adminRestore),
          },
        },
      },
      backup: { load: () => import("#cli/commands/backup.ts").then((m) => m.backup) },
      verify: { load: () => import("#cli/commands/verify.ts").then((m) => m.verify) },
      gc: { load: () => import("#cli/commands/gc.ts").then((m) => m.gc) },
      serve: { load: () => import("#cli/commands/serve.ts").then((m) => m.serve) },
    },
    Other: {
      completion: {
        load: () => import("#cli/commands/completion.ts").then((m) => m.completion(program)),
      },
    },
  },
};

await runProgram(program);
