-- Metadata of all repositories. Everything but users, tokens and objects is keyed by repository
-- first. Hashes are SHA-256, 32 bytes. Names order by their bytes (collation "C"). Times are kept to
-- the millisecond, as they are on the wire.

-- What a member of a repository may do, the least first.
create type repository_role as enum ('read', 'write', 'maintain', 'admin');

create table users (
  user_id bigint generated always as identity primary key,
  name text collate "C" not null unique,
  -- Administers the server, and every repository on it.
  is_admin boolean not null default false,
  -- No person: what a repository's deploy tokens act as. Named TOKEN@REPOSITORY.
  is_deploy boolean not null default false,
  -- Since then none of the user's tokens is good for anything.
  disabled_at timestamptz(3),
  -- Known by a directory outside, and who is gone there is kept out here as well.
  from_directory boolean not null default false,
  absent_since timestamptz(3),
  -- Who it is to a provider of identities: ISSUER SUBJECT.
  subject text collate "C" unique,
  created_at timestamptz(3) not null default now()
);

-- Users who are given roles together.
create table groups (
  group_id bigint generated always as identity primary key,
  name text collate "C" not null unique,
  created_at timestamptz(3) not null default now()
);

create table group_members (
  group_id bigint not null references groups on delete cascade,
  user_id bigint not null references users,
  primary key (group_id, user_id)
);
create index group_members_user on group_members (user_id);

-- Logins that wait for somebody to confirm them at a provider of identities. Of the handle by which
-- the client asks whether that happened there is only the SHA-256.
create table sso_logins (
  hash bytea primary key,
  -- Of a code that is confirmed anywhere.
  device_code text,
  -- Of a browser that comes back to the client: what shows that an answer is to this login.
  redirect_uri text,
  state text,
  nonce text,
  verifier text,
  expires_at timestamptz(3) not null,
  check (num_nonnulls(redirect_uri, state, nonce, verifier) = (device_code is null)::integer * 4)
);

-- What makes somebody a user, once. Only the SHA-256 of an invite is kept.
create table invites (
  invite_id bigint generated always as identity primary key,
  hash bytea not null unique,
  -- Who is invited: a user of that name is created when there is none.
  user_name text collate "C" not null,
  invited_by bigint not null references users (user_id),
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  redeemed_at timestamptz(3)
);

create table repositories (
  repository_id bigint generated always as identity primary key,
  name text collate "C" not null unique,
  -- Anyone may read.
  public boolean not null,
  -- A directory may hold names that differ in case alone.
  case_sensitive boolean not null,
  -- Of the last operation: the end of the chain that they are.
  operation_number bigint not null default 0,
  operation_hash bytea not null default decode(repeat('00', 32), 'hex'),
  -- The most that its contents may come to, each counted once and as it is before it is compressed.
  quota_bytes bigint,
  created_at timestamptz(3) not null default now()
);

create table repository_members (
  repository_id bigint not null references repositories on delete cascade,
  user_id bigint not null references users,
  role repository_role not null,
  primary key (repository_id, user_id)
);
create index repository_members_user on repository_members (user_id);

-- Whoever is in the group has the role, or a larger one that is given otherwise.
create table repository_groups (
  repository_id bigint not null references repositories on delete cascade,
  group_id bigint not null references groups on delete cascade,
  role repository_role not null,
  primary key (repository_id, group_id)
);
create index repository_groups_group on repository_groups (group_id);

-- Access tokens. Only the SHA-256 of a token is kept.
create table tokens (
  token_id bigint generated always as identity primary key,
  user_id bigint not null references users,
  name text collate "C" not null,
  hash bytea not null unique,
  -- The most that it allows of what its owner may; admin is all.
  scope repository_role not null default 'admin' check (scope <> 'maintain'),
  -- The only repository that it is good for; null is all of its owner's.
  repository_id bigint references repositories on delete cascade,
  -- It may read that repository's secrets.
  reads_secrets boolean not null default false check (not reads_secrets or repository_id is not null),
  created_at timestamptz(3) not null default now(),
  last_used_at timestamptz(3),
  expires_at timestamptz(3),
  revoked_at timestamptz(3)
);
create unique index tokens_name on tokens (user_id, name) where revoked_at is null;
create index tokens_repository on tokens (repository_id) where repository_id is not null;

-- Programs that are believed by what an issuer signed: they get tokens in exchange.
create table workload_trusts (
  repository_id bigint not null references repositories on delete cascade,
  name text collate "C" not null,
  issuer text not null,
  audience text not null,
  -- "*" is any text.
  subject text not null,
  scope repository_role not null check (scope in ('read', 'write')),
  reads_secrets boolean not null,
  created_at timestamptz(3) not null default now(),
  primary key (repository_id, name)
);

-- Contents in the object store. A row is written when the bytes are durable, never before.
create table objects (
  hash bytea primary key,
  raw_size bigint not null,
  stored_size bigint not null,
  created_at timestamptz(3) not null default now(),
  -- No repository has held it since, or it was found in the store and nobody knew of it. A while
  -- later its bytes are deleted, and then the row.
  doomed_at timestamptz(3)
);
create index objects_doomed on objects (doomed_at) where doomed_at is not null;

-- The chunks of large files: their hashes, one after the other, as in the chunk list in the store.
create table object_chunks (
  hash bytea primary key references objects on delete cascade,
  chunks bytea not null
);
alter table object_chunks alter column chunks set storage external;

-- Keys that objects are encrypted with, each wrapped with one of the operator's, who alone has those:
-- their ids are here, and the salt that a passphrase needs. Without a row nothing is encrypted.
create table object_keys (
  number integer primary key,
  key_id text collate "C" not null,
  salt bytea not null,
  wrapped bytea not null,
  wrapped_at timestamptz(3) not null default now()
);

-- What builds and webhooks need: sealed with a data key, bound to the repository and the name, so
-- that a row that is moved elsewhere does not open. See server/sealing.ts.
create table secrets (
  repository_id bigint not null references repositories on delete cascade,
  name text collate "C" not null,
  key_number integer not null references object_keys (number),
  sealed bytea not null,
  set_by bigint not null references users (user_id),
  set_at timestamptz(3) not null default now(),
  primary key (repository_id, name)
);

-- What signs the URLs of objects, the same on all servers. The only row is made when it is needed.
create table url_secret (
  is_only boolean primary key default true check (is_only),
  secret bytea not null
);

-- Objects whose bytes the store did not have when it was asked for them, or not as they were. Who
-- has the contents is asked to send them again; the row goes when they are durable once more.
create table damaged_objects (
  hash bytea primary key references objects on delete cascade,
  found_at timestamptz(3) not null default now()
);

-- Contents that were deleted for good. What names them stays, as do their rows: who asks for them is
-- told why they are gone. Who sends them is refused, also when nothing names them any more.
create table obliterated_objects (
  hash bytea primary key,
  raw_size bigint not null,
  reason text not null,
  user_name text not null,
  obliterated_at timestamptz(3) not null default now()
);

-- Which repository holds which object: what it has been sent. A hash alone opens nothing. That the
-- repository and the object exist is checked before: here it would be checked for every row.
create table repository_objects (
  repository_id bigint not null,
  hash bytea not null,
  -- Nothing has named it since, nor did anybody say that something will. After the grace period it
  -- is deleted, with all else that was condemned with it or before. Whoever is told that it is
  -- held, or names it, takes the mark off it and off all below it: db/revive.ts.
  condemned_at timestamptz(3),
  primary key (repository_id, hash)
);
create index repository_objects_condemned on repository_objects (repository_id, condemned_at)
  where condemned_at is not null;

-- What repositories came to hold and let go of, as one row for each time, so that pushes do not wait
-- for each other. A repository holds the sum of its rows: the collection adds them up.
create table repository_usage (
  repository_id bigint not null,
  objects bigint not null,
  -- Of contents, each once: a large file is its chunks.
  raw_bytes bigint not null,
  stored_bytes bigint not null
);
create index repository_usage_repository on repository_usage (repository_id);

create function note_usage() returns trigger language plpgsql as $$
declare
  sign constant integer := case tg_op when 'INSERT' then 1 else -1 end;
begin
  insert into repository_usage (repository_id, objects, raw_bytes, stored_bytes)
  select repository_id, sign * count(*), sign * sum(case
      -- A list of chunks, or what has no bytes any more.
      when o.stored_size = 0 or exists (select 1 from object_chunks c where c.hash = o.hash) then 0
      else o.raw_size end), sign * sum(o.stored_size)
  from moved join objects o using (hash)
  group by repository_id;
  return null;
end $$;
create trigger repository_objects_come after insert on repository_objects
  referencing new table as moved for each statement execute function note_usage();
create trigger repository_objects_go after delete on repository_objects
  referencing old table as moved for each statement execute function note_usage();

-- Directories of snapshots, shared by all versions that contain them. A tree is inserted after all
-- that it names: the row says that everything below it is held.
create table trees (
  repository_id bigint not null references repositories on delete cascade,
  hash bytea not null,
  data bytea not null,
  -- Files and links in it and below it, and the sum of the files' sizes. All sides of a conflict
  -- count.
  file_count bigint not null,
  byte_count bigint not null,
  -- A path in it or below it is in conflict.
  conflicted boolean not null,
  -- As in repository_objects. A tree is condemned no later than what it names.
  condemned_at timestamptz(3),
  primary key (repository_id, hash)
);
create index trees_condemned on trees (repository_id, condemned_at)
  where condemned_at is not null;
-- Hashes do not compress, and a tree is read whole.
alter table trees alter column data set storage external;

-- A change is its name and a pointer to its latest version.
create table changes (
  repository_id bigint not null references repositories on delete cascade,
  change_id bigint generated always as identity,
  name text collate "C" not null,
  -- Who created it.
  author_id bigint not null references users,
  -- The version that the change is at. Set in the transaction that creates the change.
  version_id bigint,
  -- Of that version: lists are ordered by them.
  generation integer not null default 0,
  updated_at timestamptz(3) not null default now(),
  -- Hidden.
  removed_at timestamptz(3),
  created_at timestamptz(3) not null default now(),
  primary key (repository_id, change_id),
  unique (repository_id, name)
);
create unique index changes_version on changes (repository_id, version_id);
create index changes_updated on changes (repository_id, updated_at desc, change_id desc)
  where removed_at is null;

-- Every snapshot that a change has had. Rows are never changed, but for their expiry.
create table versions (
  repository_id bigint not null,
  version_id bigint generated always as identity,
  change_id bigint not null,
  -- From 1, without gaps, per change.
  number integer not null,
  tree bytea not null,
  description text not null,
  author_id bigint not null references users,
  -- Larger than that of every parent: descendants come first in descending order.
  generation integer not null,
  -- The version that its rows in files are compared with: the version before when the parents are
  -- the same, else the first parent; null is the empty snapshot. Rows follow the edit that way,
  -- however often a large change is pushed.
  base_version_id bigint,
  -- It was pushed when the change had moved on already: the change was never at it.
  diverged boolean not null default false,
  created_at timestamptz(3) not null default now(),
  -- Its change is hidden, or at another version, for so long that nothing goes back to it: its
  -- tree is held no more. What is known about it stays.
  expired_at timestamptz(3),
  primary key (repository_id, version_id),
  unique (repository_id, change_id, number),
  foreign key (repository_id, change_id) references changes on delete cascade
);
create index versions_tree on versions (repository_id, tree);

-- The graph. A parent is a version; the change that it belongs to stands beside it, because people
-- see the graph of changes.
create table version_parents (
  repository_id bigint not null,
  version_id bigint not null,
  ordinal smallint not null,
  parent_change_id bigint not null,
  parent_version_id bigint not null,
  primary key (repository_id, version_id, ordinal),
  foreign key (repository_id, version_id) references versions on delete cascade,
  foreign key (repository_id, parent_version_id) references versions (repository_id, version_id)
);
create index version_parents_parent on version_parents (repository_id, parent_change_id);

-- The paths that a version touches against its base: the index for file history. They are inserted
-- with their version, which is never deleted alone; a first import has a row for every file, and a
-- foreign key would look the version up for each.
create table files (
  repository_id bigint not null,
  version_id bigint not null,
  path text collate "C" not null,
  status text not null check (status in ('added', 'modified', 'deleted')),
  -- Of what is there now; of what was there, for a deleted path.
  kind text not null check (kind in ('file', 'symlink', 'conflict')),
  -- Octal 644 or 755, as a number; null for what is no file.
  mode smallint,
  -- Of a conflict, that of all sides.
  size bigint not null,
  -- Null for what is no file.
  object bytea,
  primary key (repository_id, version_id, path)
);
create index files_path on files (repository_id, path, version_id);

create table bookmarks (
  repository_id bigint not null references repositories on delete cascade,
  name text collate "C" not null,
  change_id bigint not null,
  updated_at timestamptz(3) not null default now(),
  primary key (repository_id, name),
  foreign key (repository_id, change_id) references changes
);
create index bookmarks_change on bookmarks (repository_id, change_id);

-- What holds for bookmarks whose names match a pattern, in which "*" is any text. All rules that
-- match hold together.
create table bookmark_rules (
  repository_id bigint not null references repositories on delete cascade,
  pattern text collate "C" not null,
  -- The least that whoever creates, moves or deletes one must be.
  role repository_role not null,
  -- It moves to descendants only, and nothing below it is rewritten.
  forward_only boolean not null,
  never_deleted boolean not null,
  -- Neither moved nor deleted, once it is there; nothing below it is rewritten.
  immutable boolean not null,
  -- What it points at has a description.
  described boolean not null,
  created_at timestamptz(3) not null default now(),
  primary key (repository_id, pattern)
);

-- Every mutation of a repository, in the transaction that made it: the audit log, and what undo
-- goes back through. The request id recognises a request that is sent again.
create table operations (
  repository_id bigint not null references repositories on delete cascade,
  -- From 1, without gaps, in the order in which they were done.
  number bigint not null,
  request_id bytea not null,
  user_id bigint not null references users,
  -- As it was then.
  user_name text not null,
  kind text not null,
  -- What was asked and answered, in names and numbers of versions.
  details jsonb not null,
  -- Every change and bookmark that it moved: from where, and to where.
  effects jsonb not null,
  created_at timestamptz(3) not null,
  -- SHA-256 over the hash of the operation before and all of this row.
  hash bytea not null,
  primary key (repository_id, number),
  constraint operations_request unique (repository_id, request_id)
);
create index operations_user on operations (repository_id, user_id, number);
-- What undoes other operations says whether they are in force.
create index operations_reversals on operations (repository_id, number)
  where kind in ('undo', 'redo');

create function refuse_rewriting() returns trigger language plpgsql as $$
begin
  -- They go with their repository only.
  if tg_op = 'DELETE' and not exists (
    select 1 from repositories where repository_id = old.repository_id
  ) then
    return old;
  end if;
  raise exception 'operations are only ever appended';
end $$;
create trigger operations_append_only before update or delete on operations
  for each row execute function refuse_rewriting();

-- Who did what to users, members, tokens and rules, and who was refused what: rows are only ever
-- appended, each bound to all before it by a hash.
create table audit_events (
  -- From 1, without gaps.
  number bigint primary key,
  created_at timestamptz(3) not null,
  -- Null: nobody who could be known.
  user_id bigint references users,
  user_name text,
  token_name text,
  address text not null,
  -- The call, as SERVICE/CALL.
  action text not null,
  repository_name text,
  allowed boolean not null,
  details jsonb not null,
  hash bytea not null
);
create index audit_events_user on audit_events (user_name, number);
create index audit_events_created on audit_events (created_at);

-- The ends of their chain: one row. The start is the last event that is not kept any more.
create table audit_head (
  number bigint not null,
  hash bytea not null,
  start_number bigint not null,
  start_hash bytea not null
);
insert into audit_head
values (0, decode(repeat('00', 32), 'hex'), 0, decode(repeat('00', 32), 'hex'));

create function refuse_audit_rewriting() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and old.number <= (select start_number from audit_head) then
    return old;
  end if;
  raise exception 'audit events are only ever appended';
end $$;
create trigger audit_events_append_only before update or delete on audit_events
  for each row execute function refuse_audit_rewriting();

-- Walks over everything that a repository holds, one at a time for each. One that was not heard of
-- for a while has died with its server.
create table walks (
  walk_id bigint generated always as identity primary key,
  repository_id bigint not null unique references repositories on delete cascade,
  started_at timestamptz(3) not null default now(),
  heard_at timestamptz(3) not null default now()
);

-- What a walk has met, so that it needs no memory for it. Nothing is lost with them.
create unlogged table walk_marks (
  walk_id bigint not null,
  is_tree boolean not null,
  hash bytea not null,
  -- A tree whose entries are still to be looked at.
  is_open boolean not null,
  primary key (walk_id, is_tree, hash)
);
create index walk_marks_open on walk_marks (walk_id) where is_open;

-- What a walk has not met of what the repository held when it ended, and what was added meanwhile
-- that names other things: what there is to condemn, found without holding up anybody.
create unlogged table walk_unmet (
  walk_id bigint not null,
  is_tree boolean not null,
  hash bytea not null,
  primary key (walk_id, is_tree, hash)
);

-- What a server does from time to time, and when one of them last began to.
create table upkeep (
  name text primary key,
  done_at timestamptz(3) not null
);

-- What tells this server's data from another's, also when it was restored from a backup: one row.
create table server_identity (
  server_id uuid not null default gen_random_uuid()
);
insert into server_identity default values;
