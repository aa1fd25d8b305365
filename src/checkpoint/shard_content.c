/* From a shard to what a file gets, and back. */
#include "checkpoint/shard_file.h"

/* Nothing of the snapshot is changed: a content that was read owns what it holds, and so its members are not const. */
shard_content_t shard_content_of_snapshot(const shard_snapshot_t *snapshot) {
    return (shard_content_t){
        .config = snapshot->config,
        .template = (engine_template_t *)snapshot->template,
        .store = (engine_store_t *)snapshot->store,
        .rows = snapshot->rows,
        .batches = snapshot->batches,
        .batch_count = snapshot->batch_count,
        .attributes = snapshot->attributes,
        .living = snapshot->living,
        .inputs = snapshot->inputs,
    };
}

shard_restored_t shard_content_restored(const shard_content_t *content) {
    return (shard_restored_t){
        .config = content->config,
        .template = content->template,
        .store = content->store,
        .batches = content->batches,
        .batch_count = content->batch_count,
        .schema = content->schema,
        .attributes = content->attributes,
        .living = content->living,
        .inputs = content->inputs,
        .index_anew = content->indexed_anew,
    };
}
