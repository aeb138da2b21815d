// Package query is the search language of Drive's q parameters: a parser that knows every term, operator and value of
// Google's documentation and refuses the rest with its position, and an evaluator over any [Subject].
//
// The grammar, with keywords in any case:
//
//	query = or
//	or    = and { "or" and }
//	and   = unary { "and" unary }
//	unary = "not" unary | "(" or ")" | term
//	term  = field operator value          name = 'x'
//	      | field                         a bare boolean term: sharedWithMe
//	      | string "in" field             'id' in parents
//	      | field "in" string             parents in 'id', the reversed form that much public code sends
//	      | field "has" "{" "key" "=" string "and" "value" "=" string "}"
//
// Strings stand in single or double quotes; \' \" and \\ are the escapes. It is not for running queries: what to
// enumerate, and in which order, is its caller's business, helped by [Query.Parents].
package query
