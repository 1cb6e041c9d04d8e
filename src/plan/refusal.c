/* The words of refusals and the smallest repair, worked out only when somebody asks (decisions 14). */
#include "plan/internal.h"

#include <stdlib.h>

static const struct {
    gr_str id, doc;
} rules[GR_RULE__COUNT] = {
#define GR_RULE(name, id, doc) [GR_RULE_##name] = {GR_STR_INIT(id), GR_STR_INIT(doc)},
#include "plan/rules.def"
#undef GR_RULE
};

#ifdef GRANARY_RULES_OFF
/* For tools/mutate_rules alone: with any one rule off, some test must fail. */
bool gr_rule_is_off(gr_rule rule) {
    const char *off = getenv("GRANARY_RULE_OFF");
    return off && gr_str_eq_z(rules[rule].id, off);
}
#endif

bool gr_refusal_eq(const gr_refusal *a, const gr_refusal *b) {
    return a->rule == b->rule && a->rollup == b->rollup && a->member == b->member && a->granularity == b->granularity;
}

gr_str gr_rule_id(gr_rule rule) { return rules[rule].id; }
gr_str gr_rule_doc(gr_rule rule) { return rules[rule].doc; }

gr_str gr_refusal_detail(const gr_refusal *r, gr_arena *arena) {
    gr_str doc = gr_rule_doc(r->rule);
    if (r->rule == GR_RULE_CANNOT_BUILD && r->rollup->problem_text.n)
        return gr_arena_printf(arena, "The definition cannot be built: " GR_FMT ".", GR_ARG(r->rollup->problem_text));
    if (!r->member) return doc;
    gr_str grain = r->granularity ? gr_arena_printf(arena, " (" GR_FMT ")", GR_ARG(r->granularity->name)) : (gr_str){0};
    return gr_arena_printf(arena, GR_FMT GR_FMT ": " GR_FMT, GR_ARG(r->member->id), GR_ARG(grain), GR_ARG(doc));
}

static const gr_rollup_column *stored_time(const gr_refusal *r) {
    for (size_t i = 0; i < r->rollup->n_columns; i++)
        if (r->rollup->columns[i].member == r->member && r->rollup->columns[i].granularity)
            return &r->rollup->columns[i];
    return NULL;
}

gr_str gr_refusal_repair(const gr_refusal *r, gr_arena *arena) {
    gr_str rollup = r->rollup->preagg->id, member = r->member ? r->member->id : GR_STR("");
    const gr_rollup_column *time = r->member ? stored_time(r) : NULL;
    switch (r->rule) {
    case GR_RULE_DIMENSION_MISSING:
    case GR_RULE_FILTER_MISSING:
        return gr_arena_printf(arena, "add " GR_FMT " to the dimensions of " GR_FMT, GR_ARG(member), GR_ARG(rollup));
    case GR_RULE_SEGMENT_MISSING:
        return gr_arena_printf(arena, "add " GR_FMT " to the segments of " GR_FMT, GR_ARG(member), GR_ARG(rollup));
    case GR_RULE_MEASURE_MISSING:
        return gr_arena_printf(arena, "add " GR_FMT " to the measures of " GR_FMT, GR_ARG(member), GR_ARG(rollup));
    case GR_RULE_TIME_MISSING:
        return gr_arena_printf(arena, "give " GR_FMT " the time_dimension " GR_FMT " with granularity " GR_FMT,
                               GR_ARG(rollup), GR_ARG(member),
                               GR_ARG(r->granularity ? r->granularity->name : GR_STR("day")));
    case GR_RULE_GRANULARITY:
        return gr_arena_printf(arena,
                               "store " GR_FMT " at granularity " GR_FMT " or finer (it is stored by " GR_FMT ")",
                               GR_ARG(member), GR_ARG(r->granularity ? r->granularity->name : GR_STR("day")),
                               GR_ARG(time ? time->granularity->name : GR_STR("nothing")));
    case GR_RULE_RANGE:
        return gr_arena_printf(arena,
                               "start and end the range on whole units of " GR_FMT ", or store a finer granularity",
                               GR_ARG(time ? time->granularity->name : GR_STR("the stored granularity")));
    case GR_RULE_EXACT_GRAIN:
        return gr_arena_printf(arena,
                               "ask for all dimensions and the granularity of " GR_FMT
                               ", or define a rollup at the query's grain for " GR_FMT,
                               GR_ARG(rollup), GR_ARG(member));
    case GR_RULE_NOT_BUILT: return gr_arena_printf(arena, "granary preagg build " GR_FMT, GR_ARG(rollup));
    case GR_RULE_BUILD_FAILED: return GR_STR("see the error in `granary preagg list`, mend it, and build again");
    case GR_RULE_TIME_ZONE: return GR_STR("ask in UTC, build the zone ahead, or raise build.max_time_zones");
    case GR_RULE_ROOT:
        return gr_arena_printf(
            arena, "define the rollup with members that start at the query's cube (this one starts at " GR_FMT ")",
            GR_ARG(r->rollup->tree.n ? r->rollup->tree.nodes[0].cube->name : GR_STR("no cube")));
    case GR_RULE_UNGROUPED:
        if (!r->member) break;
        return gr_arena_printf(arena, "add the primary key " GR_FMT " to the dimensions of " GR_FMT, GR_ARG(member),
                               GR_ARG(rollup));
    case GR_RULE_STATIC_FILTER:
        return gr_arena_printf(arena, "ask with the filters of " GR_FMT ", or leave out its filter on " GR_FMT,
                               GR_ARG(rollup), GR_ARG(r->member ? member : GR_STR("several members")));
    case GR_RULE_FAN_OUT:
        return gr_arena_printf(arena, "group by " GR_FMT " or fix it to one value, or define a rollup without it",
                               GR_ARG(member));
    case GR_RULE_ENGINE_SQL:
        if (r->member && r->member->kind == GR_MEMBER_DIMENSION)
            return gr_arena_printf(arena, "add " GR_FMT " to the dimensions of " GR_FMT, GR_ARG(member),
                                   GR_ARG(rollup));
        return gr_arena_printf(arena,
                               "keep " GR_FMT " beside the data (external: false), or write " GR_FMT
                               " without what engines work out differently",
                               GR_ARG(rollup), GR_ARG(member));
    case GR_RULE_EDGES:
        return gr_arena_printf(arena,
                               "ask by a granularity whose buckets the range cuts, or start and end the range on "
                               "whole stored units");
    case GR_RULE_BUILD_RANGE:
        return gr_arena_printf(
            arena, "widen build_range_start and build_range_end of " GR_FMT ", or ask for a dateRange within them",
            GR_ARG(rollup));
    case GR_RULE_PARTITION:
        return gr_arena_printf(arena,
                               "granary preagg refresh " GR_FMT ", and see its error in `granary preagg partitions`",
                               GR_ARG(rollup));
    case GR_RULE_LAMBDA:
        return GR_STR(
            "ask for a dateRange of its time dimension, in a time zone whose clock shows each cut once; build its "
            "rollups anew when an earlier Granary built them");
    case GR_RULE_VERSION: return GR_STR("pin a version that `GET /nodes/{name}/pre-aggregations` lists, or none");
    case GR_RULE_CHANGED: return GR_STR("ask for the measures that it is computed from, or pin no version");
    case GR_RULE_FORBIDDEN:
    case GR_RULE_FACTS:
    case GR_RULE_SUB_QUERY:
    case GR_RULE_CANNOT_BUILD:
    case GR_RULE_JOIN_PATH:
    case GR_RULE_MEASURE_FILTER:
    case GR_RULE__COUNT: break;
    }
    return (gr_str){0};
}
