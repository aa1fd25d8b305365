/* Who changes an index holds its lease in the storage: taken by server 0 when the index is created, or when one that was loaded is changed for the
 * first time, and kept until it leaves the servers. */
#include "server/server_internal.h"

dfaiss_status_t claim_take(const char *storage, const char *index, bool needed, lease_t **lease, dfaiss_error_t *err) {
    dfaiss_error_t error = {0};
    *lease = NULL;
    dfaiss_status_t status = lease_take(storage, index, NULL, lease, &error);
    /* An index that is never saved needs no storage. */
    if (status == DFAISS_OK || (!needed && status != DFAISS_ERR_STATE))
        return DFAISS_OK;
    if (err)
        *err = error;
    return status;
}

dfaiss_status_t hosted_claim(server_t *server, hosted_t *hosted, bool needed, dfaiss_error_t *err) {
    if (hosted->lease)
        return DFAISS_OK;
    return claim_take(hosted_storage(server, shard_config(hosted->shard)), hosted->name, needed, &hosted->lease, err);
}

/* Has somebody else saved it since it was loaded? What cannot be read is told when it is saved. */
static dfaiss_status_t check_basis(server_t *server, const hosted_t *hosted, dfaiss_error_t *err) {
    const char *storage = hosted_storage(server, shard_config(hosted->shard));
    manifest_t manifest = {0};
    if (hosted->overwrite || !manifest_exists(storage, hosted->name) || manifest_read(storage, hosted->name, &manifest, NULL) != DFAISS_OK)
        return DFAISS_OK;
    dfaiss_status_t status = manifest_check_basis(&manifest, &hosted->basis, err);
    manifest_clear(&manifest);
    return status;
}

dfaiss_status_t hosted_change(server_t *server, hosted_t *hosted, dfaiss_error_t *err) {
    if (hosted->lease)
        return DFAISS_OK;
    TRY(hosted_claim(server, hosted, false, err));
    dfaiss_status_t status = check_basis(server, hosted, err);
    if (status != DFAISS_OK) {
        lease_release(hosted->lease); /* the next one who wants to change it is told the same */
        hosted->lease = NULL;
    }
    return status;
}
