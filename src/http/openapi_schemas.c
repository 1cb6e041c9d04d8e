/* The schemas of the OpenAPI document, in the language of openapi.c. test_openapi compares them with what the encoders
 * write. */
#include "http/openapi.h"

#define NODE_FIELDS                                                                                                    \
    "!type, !node_id:integer, !node_revision_id:integer, !name, !display_name, !version, !current_version, !status, "  \
    "!mode, !description, !created_at:time, !updated_at:time, !deactivated_at:time?, !materializations:[any], "        \
    "!tags:[any], !owners:[any], !availability:any, !metric_metadata:any, !created_by:any, !custom_metadata:any, "     \
    "!git_info:any, !missing_table:boolean, !query:text?, !columns:[any]"

#define REFRESH_VIEW "!is_building:boolean, !next_at:time?, !looked_at:time?, !failures:integer, !error:text?"

static const gr_http_schema schemas[] = {
    {"Status", true, "pending|materializing|active|failed|stale"},
    {"GrainMode", true, "exact|superset"},
    {"NodeType", true, "source|transform|dimension|metric|cube"},
    {"LineageFormat", true, "json|dot"},
    {"PartitionStatus", true, "built|missing|quarantined"},
    {"JobAction", true, "post|get"},
    {"JobResType", true, "array|object"},
    {"RefreshState", true, "running|paused|drained"},
    {"BuildStatus", true, "running|done|failed|dropped"},

    {"SourceNode", false, "!id:integer, !name, !type:NodeType"},
    {"Component", false,
     "!name, measure, expression, aggregation:text?, merge:text?, rule:object, sketch:object, expr_hash, "
     "used_by_metrics:any"},
    {"ServedBuild", false, "!id:integer, !version:integer, !started_at:time?, !finished_at:time?, !measures:[text]"},
    {"WorkflowUrl", false, "!label, !url"},
    {"PreAggregation", false,
     "!id:integer, !name:text?, !source_node:SourceNode, !source_node_version, !node_revision_id:integer, !node_name, "
     "!node_version, !grain_columns:[text], !grain_hash, !grain_group_hash:text?, !preagg_hash:text?, !filters:[any], "
     "!time_zone:text?, !store:text?, !measures:[any], !measure_details:[Component], !columns:any, !sql:text?, "
     "!table_hash:text?, !table:text?, !materialized_table_ref:text?, !status:Status, !materialized_at:time?, "
     "!materialization_error:text?, !row_count:integer?, !build_ms:integer?, !bytes:integer?, "
     "!served_build:ServedBuild?, !valid_through_ts:integer?, !min_partition:[any]?, !max_partition:[any]?, "
     "!strategy:text?, !schedule:text?, !lookback_window:text?, !workflow_status:text?, "
     "!workflow_urls:[WorkflowUrl]?, !workflow_names:[text]?, !external:boolean, !cubes:[text], !declared_by:[text], "
     "!related_metrics:[text]?, !is_current:boolean, !is_in_service:boolean, !problem:text?, !refresh:RefreshView?, "
     "!hits:integer, "
     "!last_served_at:time?, !created_at:time?, !updated_at:time?"},
    {"RefreshView", false, REFRESH_VIEW},
    {"RefreshItem", false, "!id:integer, !pre_aggregation, !zone, " REFRESH_VIEW},
    {"Refresh", false,
     "!state:RefreshState, !is_enabled:boolean, !is_drained:boolean, !is_finished:boolean, !done:integer, "
     "!failed:integer, !items:[RefreshItem]"},
    {"RefreshOrder", false, "state:RefreshState, now:boolean, prebuild:boolean"},
    {"PreAggregationList", false, "!items:[PreAggregation], !total:integer, !limit:integer, !offset:integer"},
    {"VerifiedPartition", false, "!partition:text?, !verdict, !rows:integer, !difference:text?"},
    {"Verification", false,
     "!pre_aggregation, !can_verify:boolean, !equal:integer, !stale:integer, !quarantined:integer, "
     "!rebuilding:boolean, !partitions:[VerifiedPartition]"},
    {"Build", false,
     "!id:integer, !pre_aggregation_id:integer, !version:integer, !status:BuildStatus, !progress:number?, "
     "!table:text?, !started_at:time?, !finished_at:time?, !build_ms:integer?, !rows:integer?, !bytes:integer?, "
     "!measures:[text], !coverage:object, !error:text?, !server:text?"},
    {"Partition", false,
     "!partition:text?, !name:text?, !from:text?, !to:text?, !status:PartitionStatus, !table:text?, !rows:integer?, "
     "!bytes:integer?, !checksum:text?, !built_at:time?, !verified_at:time?, !refresh_value:text?, !version:integer?, "
     "!quarantine:text?"},
    {"PartitionsBuilding", false,
     "!progress:number?, !partitions_done:integer, !partitions_due:integer, !rows:integer, "
     "transfer:Transfer"},
    {"Partitions", false,
     "!pre_aggregation_id:integer, !name:text?, !timezone, !status:Status, !error:text?, !is_building:boolean, "
     "!building:PartitionsBuilding?, !total:integer, !built:integer, !missing:integer, !quarantined:integer, "
     "!rows:integer, partitions:[Partition]"},
    {"CubeName", false, "!name, !display_name, !type:NodeType, !version, !status"},
    {"Catalog", false, "!name, !engines:[any]"},
    {"Node", false,
     "!namespace, " NODE_FIELDS ", !catalog:Catalog, !schema_:text?, !table:text?, !parents:[any], "
     "!dimension_links:[any], !metrics:[text], !dimensions:[text], !filters:[any], pre_aggregations:[integer], "
     "warnings:[Warning]"},
    {"NodeDetails", false, "!name, !display_name, !description, !type:NodeType"},
    {"CubeElement", false, "!name, !display_name, !node_name, !type, !partition:any, !role:any"},
    {"Cube", false,
     NODE_FIELDS ", !node_type:NodeType, !cube_elements:[CubeElement], !cube_node_metrics:[text], "
                 "!cube_node_dimensions:[text], !cube_filters:[any], !sql_columns:[any], !measures:[any]"},
    {"Warning", false, "!code, !message, !debug:object"},
    {"History", false,
     "!id:integer, !entity_type, !entity_name, !node:text?, !activity_type, !user:text?, !pre:object, !post:object, "
     "!details:object, !created_at:time?"},
    {"LineageNode", false, "!id, !kind, !label, !detail:text?"},
    {"LineageEdge", false, "!from, !to"},
    {"Lineage", false, "!nodes:[LineageNode], !edges:[LineageEdge]"},
    {"GrainGroup", false,
     "!node_name, !node_version, !grain_columns:[text], !grain_hash, !filters:[any], !metrics:[text], !aggregability, "
     "!components:[Component], !sql:text?, !columns:any, !name:text?, !problem:text?, !pre_aggregation_id:integer?, "
     "!status:Status?, !is_covered:boolean, !is_served:boolean"},
    {"GrainGroups", false, "!grain_groups:[GrainGroup], !warnings:[Warning]"},
    {"Planned", false, "!preaggs:[PreAggregation], !warnings:[Warning]"},
    {"Message", false, "!message"},
    {"WorkflowStopped", false, "!workflow_url:text?, !status, !message"},
    {"WorkflowName", false, "!id:integer, !workflow_name"},
    {"WorkflowsStopped", false,
     "!deactivated_count:integer, !deactivated:[WorkflowName], !skipped_count:integer, !message"},
    {"Backfill", false, "!job_url, !start_date:date, !end_date:date, !status"},
    {"ImportLine", false, "!cube, !source_node:text?, !result, !problem:text?, !pre_aggregation_id:integer?"},
    {"Imported", false, "!results:[ImportLine]"},

    {"MaterializeRequest", false, "force:boolean?, strategy:text?, wait:boolean?, timezone:text?"},
    {"PartitionsRequest", false,
     "partitions:[text]?, dateRange:[text]?, force:boolean?, wait:boolean?, timezone:text?"},
    {"JobSelector", false,
     "!contexts:[object], !timezones:[text], dataSources:[text], cubes:[text], preAggregations:[text], "
     "dateRange:[text]"},
    {"JobsRequest", false, "!action:JobAction, selector:JobSelector, tokens:[text], resType:JobResType"},
    {"PlanRequest", false,
     "!metrics:[text], dimensions:[text]?, filters:[any]?, timezone:text?, strategy:text?, schedule:text?, "
     "lookback_window:text?"},
    {"RegisterTable", false, "!catalog, !schema, !table, valid_through_ts:integer?"},
    {"RegisterRequest", false,
     "name:text?, !metrics:[text], dimensions:[text]?, filters:[any]?, timezone:text?, !table:RegisterTable, "
     "!measure_columns:object, dimension_columns:object?"},
    {"ConfigRequest", false, "strategy:text?, schedule:text?, lookback_window:text?"},
    {"BackfillRequest", false, "!start_date:date, end_date:date?"},
    {"Availability", false,
     "!catalog, schema:text?, !table, !valid_through_ts:integer, url:text?, links:object?, "
     "categorical_partitions:[text]?, temporal_partitions:[text]?, min_temporal_partition:[any]?, "
     "max_temporal_partition:[any]?, partitions:[object]?"},
    {"CubeCreate", false,
     "!name, !metrics:[text], dimensions:[text]?, filters:[any]?, timezone:text?, description:text?, mode:text?, "
     "display_name:text?"},
    {"CubePatch", false,
     "metrics:[text]?, dimensions:[text]?, filters:[any]?, timezone:text?, description:text?, mode:text?, "
     "display_name:text?"},

    {"ErrorItem", false, "!code, !message, !debug:object?, !context"},
    {"Error", false, "!message, !errors:[ErrorItem], !warnings:[any]"},
    {"Detail", false, "!loc:[text], !msg, !type"},
    {"Unprocessable", false, "detail:[Detail], message, errors:[ErrorItem], warnings:[any]"},

    {"CubeQuery", false, "query:any, queryType, cache"},
    {"CubeResult", false,
     "!data:any, query:object, annotation:object, lastRefreshTime:time?, usedPreAggregations:object, dataSource, "
     "dbType, extDbType, external:boolean?, slowQuery:boolean, fromCache:boolean, total:integer?, "
     "preAggregationRefusals:[object], explain:object"},
    {"CubeError", false, "type, !error, id, hint, location, requestId"},
    {"Health", false, "!health"},
    {"BuildRequest", false, "timezone:text?, force:boolean?"},
    {"Progress", false,
     "pre_aggregation_id:integer, !pre_aggregation, !timezone, !status:Status, !is_done:boolean, !progress:number?, "
     "!rows:integer, !started_at:time?, transfer:Transfer, error, error_id"},
    {"Transfer", false, "!rows:integer, !bytes:integer, !rows_per_second:integer, !bytes_per_second:integer"},
};

const gr_http_schema *gr_http_schemas(size_t *ret_n) {
    *ret_n = sizeof schemas / sizeof *schemas;
    return schemas;
}
