/* Lineage as JSON, and as text for Graphviz. Edges go from the source to what is made of it. */
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

/* A quoted text of the language: only quotes and backslashes are special; a line end would be taken for one. */
static void put_quoted(gr_buf *out, gr_str text) {
    gr_buf_char(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '"' || c == '\\') gr_buf_char(out, '\\');
        gr_buf_char(out, c == '\n' || c == '\r' ? ' ' : c);
    }
    gr_buf_char(out, '"');
}

static const char *const shapes[] = {
    [GR_LINEAGE_TABLE] = "cylinder",    [GR_LINEAGE_COLUMN] = "plaintext", [GR_LINEAGE_MEMBER] = "box",
    [GR_LINEAGE_COMPONENT] = "ellipse", [GR_LINEAGE_PREAGG] = "component", [GR_LINEAGE_CUBE] = "folder"};

void gr_http_put_lineage_dot(gr_buf *out, const gr_lineage *lineage) {
    gr_buf_z(out, "digraph lineage {\n  rankdir=LR;\n");
    for (size_t i = 0; i < lineage->n_nodes; i++) {
        const gr_lineage_node *node = &lineage->nodes[i];
        gr_buf_z(out, "  ");
        put_quoted(out, node->id);
        gr_buf_z(out, " [label=");
        put_quoted(out, node->label);
        gr_buf_printf(out, ", shape=%s];\n", shapes[node->kind]);
    }
    for (size_t i = 0; i < lineage->n_edges; i++) {
        gr_buf_z(out, "  ");
        put_quoted(out, lineage->nodes[lineage->edges[i].from].id);
        gr_buf_z(out, " -> ");
        put_quoted(out, lineage->nodes[lineage->edges[i].to].id);
        gr_buf_z(out, ";\n");
    }
    gr_buf_z(out, "}\n");
}
