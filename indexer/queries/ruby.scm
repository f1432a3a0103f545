(program (assignment left: (constant) @name) @definition.constant)
(constant) @name @reference.class

((call method: (identifier) @_method arguments: (argument_list . (string))) @import
  (#any-of? @_method "require" "require_relative" "load"))
