package fakedrive

import (
	"net/http"
	"strings"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// commonParams are the parameters that every method of Google's APIs takes.
var commonParams = set(`$.xgafv access_token alt callback fields key oauth_token prettyPrint quotaUser uploadType
	upload_protocol $alt $fields $prettyPrint $key $userProject userIp trace`)

// Parameters by method, as the discovery document has them, with the deprecated ones that clients still send.
var (
	getParams  = set("acknowledgeAbuse includeLabels includePermissionsForView supportsAllDrives supportsTeamDrives")
	listParams = set(`corpora corpus driveId includeItemsFromAllDrives includeLabels includePermissionsForView
		includeTeamDriveItems orderBy pageSize pageToken q spaces supportsAllDrives supportsTeamDrives teamDriveId`)
	driveParams   = set("pageSize pageToken q useDomainAdminAccess requestId allowItemDeletion")
	changesParams = set(`driveId includeCorpusRemovals includeItemsFromAllDrives includeLabels
		includePermissionsForView includeRemoved includeTeamDriveItems pageSize pageToken restrictToMyDrive spaces
		supportsAllDrives supportsTeamDrives teamDriveId`)
	permissionParams = set(`emailMessage enforceExpansiveAccess enforceSingleParent includePermissionsForView
		moveToNewOwnersRoot pageSize pageToken removeExpiration sendNotificationEmail supportsAllDrives supportsTeamDrives
		transferOwnership useDomainAdminAccess`)
	writeParams = set(`addParents copyRequiresWriterPermission driveId enforceSingleParent ignoreDefaultVisibility
		includeLabels includePermissionsForView keepRevisionForever ocrLanguage removeParents setModifiedDate
		supportsAllDrives supportsTeamDrives upload_id useContentAsIndexableText`)
	revisionParams = set("acknowledgeAbuse pageSize pageToken")
	exportParams   = set("mimeType")
	linkParams     = set("id exportFormat export confirm resourcekey authuser")
)

func set(names string) map[string]bool {
	m := map[string]bool{}
	for _, n := range strings.Fields(names) {
		m[n] = true
	}
	return m
}

// routes is everything that a client can ask for.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	add := func(pattern string, op fault.Op, params map[string]bool, h handlerFunc) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.Handle(method+" "+path, s.route(op, params, h))
	}
	add("GET /drive/v3/about", OpAbout, nil, (*call).about)
	add("GET /drive/v3/files", OpList, listParams, (*call).list)
	add("GET /drive/v3/files/{id}", OpGet, getParams, (*call).get)
	add("GET /drive/v3/files/{id}/export", OpExport, exportParams, (*call).export)
	add("GET /drive/v3/files/{id}/permissions", OpPermissions, permissionParams, (*call).listPermissions)
	add("GET /drive/v3/files/{id}/permissions/{permission}", OpPermissions, permissionParams, (*call).getPermission)
	add("GET /drive/v3/files/{id}/listLabels", OpGet, set("maxResults pageToken"), (*call).listLabels)
	add("GET /drive/v3/drives", OpDrives, driveParams, (*call).listDrives)
	add("GET /drive/v3/drives/{id}", OpDrives, driveParams, (*call).getDrive)
	add("GET /drive/v3/changes", OpChanges, changesParams, (*call).listChanges)
	add("GET /drive/v3/changes/startPageToken", OpChanges, changesParams, (*call).startPageToken)
	// The links of documents and files, on hosts of their own in the real Drive.
	add("GET /feeds/download/documents/export/Export", OpExport, linkParams, (*call).exportLink)
	add("GET /feeds/download/presentations/Export", OpExport, linkParams, (*call).exportLink)
	add("GET /spreadsheets/export", OpExport, linkParams, (*call).exportLink)
	add("GET /uc", OpDownload, linkParams, (*call).contentLink)
	for _, path := range []string{"/token", "/oauth2/v4/token", "/o/oauth2/token"} {
		mux.Handle("POST "+path, http.HandlerFunc(s.serveToken))
	}
	s.writeRoutes(add)
	mux.HandleFunc("/", s.notUnderstood)
	return override(mux)
}

// writeRoutes are the methods that change something, and revisions.
func (s *Server) writeRoutes(add func(pattern string, op fault.Op, params map[string]bool, h handlerFunc)) {
	add("POST /drive/v3/files", OpWrite, writeParams, (*call).create)
	add("PATCH /drive/v3/files/{id}", OpWrite, writeParams, (*call).update)
	add("DELETE /drive/v3/files/{id}", OpWrite, writeParams, (*call).remove)
	add("DELETE /drive/v3/files/trash", OpWrite, writeParams, (*call).emptyTrash)
	add("POST /drive/v3/files/{id}/copy", OpWrite, writeParams, (*call).copyFile)
	add("GET /drive/v3/files/generateIds", OpWrite, set("count space type"), (*call).generateIDs)
	for _, prefix := range []string{"/upload/drive/v3/files", "/resumable/upload/drive/v3/files"} {
		for _, method := range []string{"POST ", "PUT "} { // PUT only of chunks, which some clients POST
			add(method+prefix, OpUpload, writeParams, (*call).createMedia)
		}
		for _, method := range []string{"PATCH ", "PUT ", "POST "} {
			add(method+prefix+"/{id}", OpUpload, writeParams, (*call).updateMedia)
		}
		add("DELETE "+prefix, OpUpload, writeParams, (*call).cancelSession)
		add("DELETE "+prefix+"/{id}", OpUpload, writeParams, (*call).cancelSession)
	}
	add("POST /drive/v3/files/{id}/permissions", OpPermissions, permissionParams, (*call).createPermission)
	add("PATCH /drive/v3/files/{id}/permissions/{permission}", OpPermissions, permissionParams, (*call).updatePermission)
	add("DELETE /drive/v3/files/{id}/permissions/{permission}", OpPermissions, permissionParams, (*call).deletePermission)
	add("GET /drive/v3/files/{id}/revisions", OpRevisions, revisionParams, (*call).listRevisions)
	add("GET /drive/v3/files/{id}/revisions/{revision}", OpRevisions, revisionParams, (*call).getRevision)
	add("PATCH /drive/v3/files/{id}/revisions/{revision}", OpRevisions, revisionParams, (*call).updateRevision)
	add("DELETE /drive/v3/files/{id}/revisions/{revision}", OpRevisions, revisionParams, (*call).deleteRevision)
	add("POST /drive/v3/drives", OpDrives, driveParams, (*call).createDrive)
	add("PATCH /drive/v3/drives/{id}", OpDrives, driveParams, (*call).updateDrive)
	add("DELETE /drive/v3/drives/{id}", OpDrives, driveParams, (*call).deleteDrive)
	add("POST /drive/v3/drives/{id}/hide", OpDrives, driveParams, (*call).hideDrive)
	add("POST /drive/v3/drives/{id}/unhide", OpDrives, driveParams, (*call).hideDrive)
}

// notUnderstood answers what no route takes.
func (s *Server) notUnderstood(w http.ResponseWriter, r *http.Request) {
	s.ctl.NotUnderstood(r, "no such method")
	c := &call{Server: s, w: w, r: r, q: r.URL.Query()}
	c.fail(&apiError{status: http.StatusNotFound, reason: "notFound", message: "Not Found"})
}

// maxForm bounds a query that comes as a form.
const maxForm = 64 << 10

// override lets clients send a GET with a long query as a POST with a form, as Google's libraries do.
func override(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Header.Get("X-HTTP-Method-Override")
		if method == "" || r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			if err := r.ParseForm(); err != nil {
				http.Error(w, "the form cannot be read", http.StatusBadRequest)
				return
			}
			r.URL.RawQuery = r.Form.Encode()
		}
		r.Method = strings.ToUpper(method)
		next.ServeHTTP(w, r)
	})
}
