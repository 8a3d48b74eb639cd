/** The forms in which schemas are given out. */
export const schemaKinds = ['pipeline', 'settings', 'test'] as const;
export const schemaDrafts = ['2020-12', '07'] as const;
export const schemaVariants = ['strict', 'editor'] as const;

export interface SchemaForm {
  readonly kind: (typeof schemaKinds)[number];
  readonly draft: (typeof schemaDrafts)[number];
  /** `strict`: for values after references were followed. `editor`: for files as they are typed. */
  readonly variant: (typeof schemaVariants)[number];
}
