/* Lineage as JSON. Edges go from the source to what is made of it. */
#include "http/encode_dj.h"

void gr_http_put_lineage(gr_jw *w, const gr_lineage *lineage) {
    gr_jw_object(w);
    gr_jw_key(w, GR_STR("nodes"));
    gr_jw_array(w);
    for (size_t i = 0; i < lineage->n_nodes; i++) {
        const gr_lineage_node *node = &lineage->nodes[i];
        gr_jw_object(w);
        gr_jw_key_str(w, "id", node->id);
        gr_jw_key_str(w, "kind", gr_lineage_kind_name(node->kind));
        gr_jw_key_str(w, "label", node->label);
        gr_http_put_text_or_null(w, "detail", node->detail);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
    gr_jw_key(w, GR_STR("edges"));
    gr_jw_array(w);
    for (size_t i = 0; i < lineage->n_edges; i++) {
        gr_jw_object(w);
        gr_jw_key_str(w, "from", lineage->nodes[lineage->edges[i].from].id);
        gr_jw_key_str(w, "to", lineage->nodes[lineage->edges[i].to].id);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
    gr_jw_object_end(w);
}
