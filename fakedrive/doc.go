// Package fakedrive is a Google Drive v3 that other people's clients cannot tell from the real one, with synthetic
// trees of any size, and nearly free to run: trees are computed on read (package corpus), what clients write lies in an
// overlay above them, and a runner can steer and read it all (package fault).
//
// A [Server] is an http.Handler. Field masks, the q language, page tokens, ranges, uploads, tokens and errors work as
// in Drive. Calls without a fake get a 404 and are counted as not understood: comments and replies, watching, apps,
// approvals, labels (no file has any), thumbnails, and sending mail. It is not for testing permissions: the user may do
// everything with their own files, and may read the files shared with them.
//
// What this package assumes of the real Drive, each with a test of its name:
//
//	FD001  files.list takes a pageSize of 1 to 1000; a larger one counts as 1000, a smaller one is refused.
//	FD002  Files in the trash are listed unless trashed=false. trashed holds below a trashed folder too,
//	       explicitlyTrashed does not, and items restored with the folder keep their own.
//	FD003  A Range past the end is 416. A malformed one, or more than one, gets the whole content with 200.
//	FD004  nextPageToken is sent only if the field mask selects it.
//	FD005  A page token of another query, of another server or past its time is refused: 400, invalid, pageToken.
//	FD006  name = ignores case; contains matches the beginnings of words in names and whole words in fullText.
//	FD007  'ID' in parents is 404 where there is no such folder, and the message does not name it.
//	FD008  q takes parents in 'ID', bare boolean terms, double quotes and keywords in capitals, as public code
//	       sends them.
//	FD009  about.get without fields is 400.
//	FD010  Checksums and headRevisionId exist only for binary content; sizes are strings; folders have none.
//	FD011  An export has no Range and no Content-Length; files.export refuses more than 10 MB, export links do not.
//	FD012  Errors carry the legacy errors array with domain, reason and location.
//	FD013  Items of shared drives are 404 without supportsAllDrives, but for downloads; lists need
//	       includeItemsFromAllDrives.
//	FD014  A file has at most one parent; a second one is refused: 403, cannotAddParent.
//	FD015  An id from generateIds can be used once: 409, fileIdInUse.
//	FD016  orderBy sorts by every documented key; fullText cannot be sorted.
//	FD017  A resumable upload answers 308 with Range, takes an overlap, refuses a gap and a chunk that is no multiple of
//	       256 KiB, and answers 200 with an override header to clients that ask for it.
//	FD018  Deleting a folder deletes its contents; trashing one leaves its contents untouched.
//	FD019  changes.list has every changed file once, at its newest change, and ends with newStartPageToken.
//	FD020  An unknown field in a mask is 400, invalidParameter, fields; so is a malformed mask.
//	FD021  Access tokens expire: 401, authError. A refresh token, a code or a signed assertion gets a new one.
//	FD022  An abusive file is sent only with acknowledgeAbuse=true.
//	FD023  A file with a resource key is 404 without the key in X-Goog-Drive-Resource-Keys.
//	FD024  An import keeps the text of an office file; an export has the format that was asked for.
//	FD025  A copy is called "Copy of" unless it gets a name; folders cannot be copied.
//	FD026  A POST with X-HTTP-Method-Override: GET and a form is a GET with a long query.
//	FD027  A shortcut needs a target that exists and is no shortcut; it stays when its target goes.
//	FD028  modifiedTime changes with the content and the name, not with a move, a star or the trash.
//	FD029  Unknown query parameters are ignored. (They are counted as not understood.)
//	FD030  Two files of the same name may lie in the same folder.
//	FD031  A multipart body that is malformed or cut short stores nothing.
//	FD032  Fields that cannot be written are refused: 403, fieldNotWritable.
package fakedrive
